"""The AsyncAPI document: each topic once, every message with an example, and who reads and writes what."""
