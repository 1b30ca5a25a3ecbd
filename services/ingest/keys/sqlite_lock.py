"""SQLite is for one ingest process: two could not tell in time which keys the other has."""

import fcntl
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from shared.runtime.settings import stop


def claim(database: URL) -> IO[str] | None:
    """Keeps others from a SQLite database for as long as the file returned is open; None for PostgreSQL.

    Ends the process with one line when another has it.
    """
    if database.get_backend_name() != "sqlite" or not database.database or database.database == ":memory:":
        return None
    place = Path(f"{database.database}.lock")
    try:
        lock = place.open("w")
    except OSError as error:
        stop(f"INGEST_DATABASE_URL: {place} cannot be written: {error.strerror}")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        stop(f"another ingest service uses {database.database}: several need PostgreSQL (INGEST_DATABASE_URL)")
    return lock
