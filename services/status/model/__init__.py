"""What a job is, and what follows from its events. Pure."""
