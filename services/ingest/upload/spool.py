"""Where uploads lie while they are worked on: a directory of this process, removed with it or by the next one."""

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
    """Files for one upload at a time. What a killed process left behind is removed by the next that starts."""

    def __init__(self) -> None:
        _remove_left_behind()
        # Locked before it has the name by which it could be taken for one that was left behind.
        place = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
        self._lock = (place / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._place = place.rename(place.with_name(place.name[1:]))

    @contextmanager
    def room(self) -> Iterator[Path]:
        """An empty directory, gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self._place) as room:
            yield Path(room)

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self._place, ignore_errors=True)
        self._lock.close()


def _remove_left_behind() -> None:
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), (place / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
