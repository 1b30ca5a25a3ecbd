"""Receives an upload: who sends it, under which key, whether there is room for it, and its body."""
