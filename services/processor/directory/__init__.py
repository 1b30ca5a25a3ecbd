"""The hospital directory over HTTP: one call, one outcome."""
