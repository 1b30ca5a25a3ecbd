"""The contract between the services, and nothing else: topics, events, and the settings and manners they share."""
