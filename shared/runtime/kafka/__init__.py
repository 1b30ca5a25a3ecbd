"""Kafka, as all services use it: options, topics, sending, transactions that fence."""
