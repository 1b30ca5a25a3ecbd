"""An event becomes a hospital: the engine between Kafka and a slow, fragile, non-idempotent directory."""
