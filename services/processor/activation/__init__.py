"""Activates the batches of finished jobs."""
