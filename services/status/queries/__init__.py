"""HTTP queries about jobs and rows, answered from the tables."""
