"""What a processor may hold in memory: bytes of rows, and what is fetched from Kafka. Pure."""
