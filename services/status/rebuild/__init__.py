"""The tables made again from the topics, beside those in use."""
