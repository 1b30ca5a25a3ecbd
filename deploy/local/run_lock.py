"""One `make run` at a time in one place."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.supervisor.not_started import NotStarted


class AlreadyRunning(NotStarted):
    """Another process runs everything here; the line names it."""


@contextmanager
def hold_run_lock(directory: Path) -> Iterator[None]:
    """Locks the directory inside the `with` block, or until this process ends. Raises AlreadyRunning."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise AlreadyRunning(
                f"Already running here as process {holder}: stop it with Ctrl-C there, or with kill {holder}."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
