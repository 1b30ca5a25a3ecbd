"""Lets only one ingest process use a SQLite database. Several replicas need PostgreSQL."""

import fcntl
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from shared.runtime.settings import stop


def claim(database: URL) -> IO[str] | None:
    """Locks a SQLite database for as long as the returned file is open; None for PostgreSQL.

    Ends this process with one line when another process has locked it.
    """
    if database.get_backend_name() != "sqlite" or not database.database or database.database == ":memory:":
        return None
    path = Path(f"{database.database}.lock")
    try:
        lock = path.open("w")
    except OSError as error:
        stop(f"INGEST_DATABASE_URL: {path} cannot be written: {error.strerror}")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        stop(f"another ingest service uses {database.database}: several need PostgreSQL (INGEST_DATABASE_URL)")
    return lock
