"""Processors in simulated time: the real engine, on a simulated Kafka and a simulated directory."""
