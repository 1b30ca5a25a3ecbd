"""Progress as it happens, as Server-Sent Events."""
