"""Faults that are put back into the real code, to see whether the simulation finds them."""
