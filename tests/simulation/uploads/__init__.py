"""Uploads in simulated time: the real submission, publication and recovery of ingest, on a simulated Kafka."""
