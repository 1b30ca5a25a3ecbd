"""Why something could not be started, for the person at the terminal."""


class NotStarted(Exception):
    """One line: what is in the way and what to do about it."""
