"""One process of ingest: all from the file on disk to the answer is real. HTTP and the reading of bodies are not.

Its database is SQLite on disk, shared by all replicas, each transaction one step of the simulation.
"""

import asyncio
import hashlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.ingest.created_rows.known_rows import KnownRows
from services.ingest.created_rows.store import CreatedRowsStore
from services.ingest.file_workers import FileWorkers
from services.ingest.keys.recovery import Recovery
from services.ingest.keys.replay import Replays
from services.ingest.keys.reservations import Reservations
from services.ingest.publication.connection_pool import ConnectionPool
from services.ingest.publication.jobs_topic import JobsTopic
from services.ingest.service import keep_running
from services.ingest.settings import IngestSettings
from services.ingest.submission import Answer, Submission
from services.ingest.upload.admission import Admission
from services.ingest.upload.body import UploadedFile
from services.ingest.upload.parameters import UploadParameters
from shared.runtime.databases import Database, create_engine
from tests.simulation.virtual_loop import Machine, VirtualLoop

TENANT = "public"


class Replica:
    """A process of ingest on a machine of its own."""

    def __init__(self, loop: VirtualLoop, machine: Machine, settings: IngestSettings) -> None:
        self.machine = machine
        self._loop = loop
        self._requests = itertools.count()
        self._context = loop.on(machine)
        self._context.run(self._build, settings)

    def _build(self, settings: IngestSettings) -> None:
        clock, jobs, pool = self._loop.time, JobsTopic(settings), ConnectionPool(settings, clock=self._loop.time)
        self._database = Database(create_engine(settings.database), 10)
        reservations = Reservations(self._database, settings.idempotency_ttl_seconds, self._now)
        recovery = Recovery(pool, reservations, jobs, clock)
        self._submission = Submission(
            settings=settings,
            workers=FileWorkers(),
            reservations=reservations,
            replays=Replays(reservations, recovery, clock=clock),
            jobs=jobs,
            pool=pool,
            admission=Admission(),
            known_rows=KnownRows(CreatedRowsStore(self._database, is_alone=False, now=self._now), clock=clock),
            clock=clock,
        )
        for name, work in {"follow_kafka": jobs.keep_current, "sweep": recovery.sweep}.items():
            self._loop.create_task(keep_running(name, work))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._loop.wall_time(), UTC)

    def submit(self, file: UploadedFile, key: str) -> "asyncio.Task[Answer]":
        """A request comes in."""
        # Each request has a file of its own on disk, as in the spool.
        spooled = replace(file, path=file.path.with_name(f"{self.machine.name}-{next(self._requests)}.csv"))
        spooled.path.write_bytes(file.path.read_bytes())
        work: Any = self._submission.submit(spooled, key, TENANT, UploadParameters())
        return self._loop.start(self.machine, work)

    def hang_up(self, request: "asyncio.Task[Answer]") -> None:
        """The client of a request has gone: the server cancels what it does for it."""
        self._context.run(self._loop.call_soon, request.cancel)

    def dispose(self) -> None:
        """Closes what the process itself had open."""
        if self._database._sqlite is not None:
            self._database._sqlite.dispose()


def write_file(folder: Path, name: str, rows: int) -> UploadedFile:
    """A file of hospitals. Files of different names have different contents."""
    path = folder / name
    text = "name,address\n" + "".join(f"Hospital {number} of {name},{number} Main St\n" for number in range(rows))
    path.write_text(text)
    return UploadedFile(path, name, hashlib.sha256(text.encode()).hexdigest(), len(text))
