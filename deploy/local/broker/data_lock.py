"""A lock for a data directory that only one server at a time may use."""

import fcntl
import time
from pathlib import Path
from typing import IO, Final

from deploy.local.supervisor.not_started import NotStarted

#: The server of a process that was just killed may hold the lock a moment longer.
_WAIT_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05


class DataInUse(NotStarted):
    """Another server uses the same data directory."""


class DataLock:
    """Held until `release`, or until this process and all children that inherited `fileno` have ended."""

    def __init__(self, directory: Path) -> None:
        """Creates the directory and takes the lock. Raises DataInUse when another server holds it for 2 s."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "in-use.lock").open("w")
        deadline = time.monotonic() + _WAIT_SECONDS
        while not _try_lock(self._file):
            if time.monotonic() > deadline:
                self.release()
                raise DataInUse(f"{directory} is in use by another broker: stop it, or set KAFKA_DATA_DIR")
            time.sleep(_POLL_SECONDS)

    @property
    def fileno(self) -> int:
        """The file descriptor, for `pass_fds` of a child process."""
        return self._file.fileno()

    def release(self) -> None:
        """Gives the lock back. May be called twice."""
        self._file.close()


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
