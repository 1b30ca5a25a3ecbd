"""Created rows in the database, and how far the results were read. SQLite and PostgreSQL.

Every change compares and sets one number, `sequence`. So of two replicas that read the same results one is too late.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.ingest.created_rows.chunks import Chunk, HashedRow, add_rows
from services.ingest.created_rows.tables import created_chunks, created_progress
from shared.contract.events import now
from shared.runtime.databases import Database

#: How long a created row is remembered.
REMEMBERED: Final = timedelta(days=30)
_SECONDS: Final = 5.0
_ID: Final = 1
_SECRET_BYTES: Final = 32
_JOBS_AT_ONCE: Final = 500
_DELETED_AT_ONCE: Final = 500


class ProgressMoved(RuntimeError):
    """Another replica has changed the progress meanwhile: read it again, and go on from there."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the results were read. `offsets`: what comes next in each partition; `epoch`: how often it began anew."""

    sequence: int
    epoch: int
    secret: bytes
    cluster: str
    offsets: Mapping[int, int]
    reader: str
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Some chunks of a tenant, and the progress when they were read."""

    progress: Progress
    chunks: Sequence[Chunk]


class CreatedRowsStore:
    """The tables of created rows. Every method is one transaction and raises DatabaseDown.

    `is_alone`: no other process uses the database. `now`: the time in UTC.
    """

    def __init__(self, database: Database, *, is_alone: bool, now: Callable[[], datetime] = now) -> None:
        self._database = database
        self.is_alone = is_alone
        self._now = now

    @property
    def oldest(self) -> datetime:
        """Rows that were created before are not remembered any more."""
        return self._now() - REMEMBERED

    async def progress(self, seconds: float = _SECONDS) -> Progress:
        """How far the results were read."""
        return await self._database.run(self._progress, seconds)

    async def take(self, reader: str, lease: timedelta) -> Progress | None:
        """Makes this replica the one that reads, unless another has the lease: then None."""

        def work(connection: Connection) -> Progress | None:
            found = self._progress(connection)
            if not self.is_alone and found.reader != reader and found.lease_until > self._now():
                return None
            return self._advance(connection, found, reader=reader, lease_until=self._now() + lease)

        return await self._database.run(work, _SECONDS)

    async def write(
        self, progress: Progress, rows: Sequence[HashedRow], offsets: Mapping[int, int], lease: timedelta
    ) -> Progress:
        """Stores rows and the offsets that they reach, together. Raises ProgressMoved: nothing was stored then."""

        def work(connection: Connection) -> Progress:
            # First, so that whoever else writes waits here for the end of this transaction.
            reached = self._advance(connection, progress, offsets=offsets, lease_until=self._now() + lease)
            jobs = sorted({row.job_id for row in rows})
            last = [
                chunk
                for begin in range(0, len(jobs), _JOBS_AT_ONCE)
                for chunk in _last_chunks(connection, jobs[begin : begin + _JOBS_AT_ONCE])
            ]
            if not (chunks := add_rows(rows, last)):
                return reached
            for sequence, chunk in enumerate(chunks, reached.sequence):
                chunk.sequence = sequence
            connection.execute(_put(connection), [_values(chunk) for chunk in chunks])
            return self._advance(connection, reached, sequence=reached.sequence + len(chunks))

        return await self._database.run(work, _SECONDS)

    async def begin_anew(self, progress: Progress, cluster: str) -> Progress:
        """Forgets all rows and offsets, which are of another Kafka. Raises ProgressMoved."""

        def work(connection: Connection) -> Progress:
            begun = self._advance(connection, progress, cluster=cluster, offsets={}, epoch=progress.epoch + 1)
            connection.execute(delete(created_chunks))
            return begun

        return await self._database.run(work, _SECONDS)

    async def release(self, progress: Progress) -> None:
        """Lets another replica read at once."""
        release = (
            update(created_progress)
            .where(created_progress.c.id == _ID, created_progress.c.reader == progress.reader)
            .values(lease_until=self._now())
        )
        await self._database.run(lambda connection: connection.execute(release), _SECONDS)

    async def page(self, tenant: str, after: int, limit: int, seconds: float = _SECONDS) -> Page:
        """The tenant's chunks that were changed after this sequence, in the order of their changes."""
        query = (
            select(created_chunks)
            .where(
                created_chunks.c.tenant == tenant,
                created_chunks.c.sequence > after,
                created_chunks.c.last_at > self.oldest,
            )
            .order_by(created_chunks.c.sequence)
            .limit(limit)
        )

        def work(connection: Connection) -> Page:
            return Page(self._progress(connection), [_chunk(row) for row in connection.execute(query)])

        return await self._database.run(work, seconds)

    async def newest(self, tenant: str, rows: int, seconds: float = _SECONDS) -> tuple[int, int]:
        """After which sequence the tenant's newest chunks stand, of at most so many rows; and how many these are."""
        sizes = (
            select(
                created_chunks.c.sequence,
                func.sum(created_chunks.c.size).over(order_by=created_chunks.c.sequence.desc()).label("total"),
            )
            .where(created_chunks.c.tenant == tenant, created_chunks.c.last_at > self.oldest)
            .subquery()
        )
        start = select(func.max(sizes.c.sequence)).where(sizes.c.total > rows)
        total = select(func.max(sizes.c.total)).where(sizes.c.total <= rows)

        def work(connection: Connection) -> tuple[int, int]:
            return int(connection.execute(start).scalar() or 0), int(connection.execute(total).scalar() or 0)

        return await self._database.run(work, seconds)

    async def delete_expired(self) -> None:
        """Deletes what is too old, some chunks in each transaction."""
        table = created_chunks
        some = select(table.c.job_id, table.c.part).where(table.c.last_at <= self.oldest).limit(_DELETED_AT_ONCE)

        def work(connection: Connection) -> int:
            keys = connection.execute(some).all()
            for key in keys:
                connection.execute(delete(table).where(table.c.job_id == key.job_id, table.c.part == key.part))
            return len(keys)

        while await self._database.run(work, _SECONDS) == _DELETED_AT_ONCE:
            pass

    def _progress(self, connection: Connection) -> Progress:
        query = select(created_progress).where(created_progress.c.id == _ID)
        if (row := connection.execute(query).one_or_none()) is None:
            # The first of all; of several at once one is stored, and all of them read that.
            dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            connection.execute(dialect(created_progress).values(**self._first()).on_conflict_do_nothing())
            row = connection.execute(query).one()
        offsets = {int(partition): offset for partition, offset in json.loads(row.offsets).items()}
        return Progress(row.sequence, row.epoch, row.secret, row.cluster, offsets, row.reader, row.lease_until)

    def _first(self) -> dict[str, Any]:
        begin = {"sequence": 0, "epoch": 0, "cluster": "", "offsets": "{}", "reader": "", "lease_until": self._now()}
        return {"id": _ID, "secret": os.urandom(_SECRET_BYTES), **begin}

    def _advance(self, connection: Connection, progress: Progress, **changes: Any) -> Progress:
        """Compare and set. Raises ProgressMoved when the sequence is not the expected one."""
        reached = replace(progress, **{"sequence": progress.sequence + 1, **changes})
        values = {name: getattr(reached, name) for name in ("sequence", "epoch", "cluster", "reader", "lease_until")}
        change = (
            update(created_progress)
            .where(created_progress.c.id == _ID, created_progress.c.sequence == progress.sequence)
            .values(**values, offsets=json.dumps(dict(reached.offsets)))
        )
        if connection.execute(change).rowcount != 1:
            raise ProgressMoved(f"the sequence is no longer {progress.sequence}")
        return reached


def _last_chunks(connection: Connection, jobs: Sequence[str]) -> list[Chunk]:
    table = created_chunks
    last = (
        select(table.c.job_id, func.max(table.c.part).label("part"))
        .where(table.c.job_id.in_(jobs))
        .group_by(table.c.job_id)
        .subquery()
    )
    query = select(table).join(last, and_(table.c.job_id == last.c.job_id, table.c.part == last.c.part))
    return [_chunk(row) for row in connection.execute(query)]


def _put(connection: Connection) -> Any:
    if connection.dialect.name == "postgresql":
        insert: Any = postgresql.insert(created_chunks)
    else:
        insert = sqlite.insert(created_chunks)
    changed = {name: insert.excluded[name] for name in ("sequence", "size", "last_at", "hashes", "rows")}
    return insert.on_conflict_do_update(index_elements=["job_id", "part"], set_=changed)


def _values(chunk: Chunk) -> dict[str, Any]:
    names = ("job_id", "part", "tenant", "sequence", "size", "first_at", "last_at")
    values = {name: getattr(chunk, name) for name in names}
    return {**values, "hashes": bytes(chunk.hashes), "rows": bytes(chunk.rows)}


def _chunk(row: Any) -> Chunk:
    return Chunk(
        row.tenant,
        row.job_id,
        row.part,
        row.first_at,
        row.last_at,
        bytearray(row.hashes),
        bytearray(row.rows),
        row.sequence,
    )
