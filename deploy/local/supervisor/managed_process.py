"""What everything that `make run` starts has in common."""

from pathlib import Path
from typing import Protocol


class Part(Protocol):
    """One process of the whole. No method blocks for long but `start` and `stop`."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def address(self) -> str:
        """Where it can be reached."""

    @property
    def log(self) -> Path:
        """Where it writes what it does."""

    def start(self) -> None:
        """Starts the process, again if it has ended. Raises NotStarted."""

    def is_ready(self) -> bool:
        """Whether it can do its work."""

    def ended(self) -> str | None:
        """How it ended, in a few words; None while it runs or when it was never started."""

    def ask_to_stop(self) -> None:
        """Asks it to finish and end."""

    def stop(self, patience: float) -> None:
        """Returns when it has ended; after `patience` seconds it is killed."""

    def kill(self) -> None:
        """Ends it at once."""
