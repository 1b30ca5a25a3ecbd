"""What the supervisor needs of each process that `make run` starts."""

from pathlib import Path
from typing import Protocol


class ManagedProcess(Protocol):
    """One supervised process. No method blocks for long but `start` and `stop`."""

    @property
    def name(self) -> str:
        """The name that is printed."""

    @property
    def address(self) -> str:
        """Its URL, or host:port."""

    @property
    def log(self) -> Path:
        """The file with its log."""

    def start(self) -> None:
        """Starts the process, again if it has ended. Raises NotStarted."""

    def is_ready(self) -> bool:
        """Whether it can do its work."""

    def ended(self) -> str | None:
        """How it ended, in a few words; None while it runs or when it was never started."""

    def ask_to_stop(self) -> None:
        """Asks it to finish and end."""

    def stop(self, timeout: float) -> None:
        """Returns when it has ended; after `timeout` seconds it is killed."""

    def kill(self) -> None:
        """Ends it at once."""
