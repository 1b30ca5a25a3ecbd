"""What other teams read: topics, events, their examples and schemas. Imports nothing of ours."""
