"""The end of a job: its manifest, and later its deletion."""
