"""A real Apache Kafka on this machine, with nothing but Python."""
