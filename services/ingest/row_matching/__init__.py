"""Rows that are the same hospital: in one file, or as one that was created before."""
