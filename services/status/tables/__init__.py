"""The tables, their versions, and how they are written in bulk."""
