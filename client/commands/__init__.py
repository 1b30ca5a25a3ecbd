"""The commands: those about files, those about jobs, and those that fetch result files."""
