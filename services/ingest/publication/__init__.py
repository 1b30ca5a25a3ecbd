"""A job onto the topics: all of its events in one Kafka transaction."""
