"""What the services have in common at run time: settings, logging, Kafka, HTTP, databases."""
