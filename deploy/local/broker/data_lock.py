"""A data directory that only one server at a time may use."""

import fcntl
import time
from pathlib import Path
from typing import IO, Final

from deploy.local.supervisor.not_started import NotStarted

#: How long the server of a process that was killed may take to follow it.
_PREDECESSOR_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05


class DirectoryInUse(NotStarted):
    """Another server runs on the same data."""


class DirectoryLock:
    """Held until neither this process nor a child that inherited `fileno` lives, or until it is released."""

    def __init__(self, directory: Path) -> None:
        """Takes it, creating the directory. Raises DirectoryInUse when somebody else holds it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "in-use.lock").open("w")
        deadline = time.monotonic() + _PREDECESSOR_SECONDS
        while not _taken(self._file):
            if time.monotonic() > deadline:
                self.release()
                raise DirectoryInUse(f"{directory} is in use by another broker: stop it, or set KAFKA_DATA_DIR")
            time.sleep(_POLL_SECONDS)

    @property
    def fileno(self) -> int:
        """For `pass_fds` of a child process."""
        return self._file.fileno()

    def release(self) -> None:
        """Lets others in. No harm when it is done twice."""
        self._file.close()


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
