"""The directory for files of uploads in progress. It is removed with the process, or by the next one."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "hospital-ingest-"
_LOCK: Final = "in-use"


class Spool:
    """A directory of this process, locked while the process lives. Those of killed processes are removed at a start."""

    def __init__(self) -> None:
        _remove_unlocked()
        # It gets its name after it is locked: another process that starts now would remove it.
        directory = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
        self._lock = (directory / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._directory = directory.rename(directory.with_name(directory.name[1:]))

    @contextmanager
    def upload_directory(self) -> Iterator[Path]:
        """An empty directory for one upload, removed at the end of the block.

        What another process still writes there is removed by `close`.
        """
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def close(self) -> None:
        """Removes the directory."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._lock.close()


def _remove_unlocked() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), (directory / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
