"""Idempotency keys in the database: reserved, remembered with their answer, recovered after a crash."""
