"""Other engines under the same faults."""
