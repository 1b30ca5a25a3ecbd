"""HTTP questions about jobs and rows, answered from the tables."""
