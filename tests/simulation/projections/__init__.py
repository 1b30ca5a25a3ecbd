"""Projections in simulated time: status's real projection, finishing and retries, on a simulated Kafka."""
