"""Reads a large .xlsx piece by piece, in bounded memory. The library that reads all others holds it several times."""
