"""Starts processes, keeps them running, and stops them."""
