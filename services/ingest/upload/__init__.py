"""An upload at the door: who sends it, whether it may come in now, its body, its key."""
