"""Chooses what is called next, makes the call, and looks up rows in doubt."""
