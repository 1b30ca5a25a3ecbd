"""The error of everything here that cannot be started."""


class NotStarted(Exception):
    """One line: what is in the way and what to do about it."""
