"""Keys that are in use. A reservation is committed before the first record is sent, and never ends unresolved.

    (free) ──reserve──> in progress ──accept──> answered ──TTL──> (free)
                            └────────free─────> (free)

`accept` and `free` are for the upload that made it, or, once its lease has run out, for whoever settled it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Insert, Table, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.ingest.keys.database import Database
from services.ingest.keys.tables import accepted_files, reservations
from shared.contract.events import now

LEASE: Final = timedelta(seconds=15)
RENEWAL_SECONDS: Final = 5.0
#: How long the same file is remembered.
FILE_MEMORY: Final = timedelta(days=30)
_SAME_FILES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """What makes two uploads the same request."""

    tenant: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """A key that belongs to a job, and the answer that the job is going to get."""

    request: KeyedRequest
    job_id: str
    file_sha256: str
    file_name: str
    jobs_partition: int
    jobs_offset: int
    answer: bytes
    reserved_at: datetime


@dataclass(frozen=True, slots=True)
class Free:
    """Nobody uses the key."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The same request was answered before; so is this one."""

    answer: bytes
    job_id: str


@dataclass(frozen=True, slots=True)
class InProgress:
    """The same request is being worked on."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Whoever worked on it is gone, or cannot tell how it ended: it has to be settled."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """The key belongs to another file, or to other parameters."""


KeyState = Free | Answered | InProgress | Abandoned | OtherRequest


@dataclass(frozen=True, slots=True)
class SameFile:
    """A job that the same bytes became before."""

    job_id: str
    created_at: datetime


class Reservations:
    """The keys in the database. Every method is one transaction and raises DatabaseDown."""

    def __init__(self, database: Database, ttl_seconds: float) -> None:
        self._database = database
        self._ttl = timedelta(seconds=ttl_seconds)

    async def look_up(self, request: KeyedRequest) -> KeyState:
        """Who has the key."""
        return await self._database.run(lambda connection: _state(connection, request))

    async def reserve(self, reservation: Reservation) -> bool:
        """Takes the key, for 15 s unless renewed. False: somebody else was faster."""

        def work(connection: Connection) -> bool:
            request = reservation.request
            connection.execute(
                delete(reservations).where(
                    reservations.c.tenant == request.tenant,
                    reservations.c.key == request.key,
                    reservations.c.expires_at <= now(),
                )
            )
            written = connection.execute(_insert_if_absent(connection, reservations, _columns(reservation)))
            return written.rowcount == 1

        return await self._database.run(work)

    async def renew(self, job_id: str) -> bool:
        """Another 15 s. False: it was settled by somebody else."""
        return await self._set_lease(job_id, now() + LEASE)

    async def abandon(self, job_id: str) -> None:
        """Its outcome is unknown: the next who needs the key may settle it at once."""
        await self._set_lease(job_id, now())

    async def accept(self, reservation: Reservation) -> None:
        """The job exists: from now on its key is answered, until the time to live is over. Twice is once."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(reservations).where(*_in_progress(reservation.job_id)).values(expires_at=now() + self._ttl)
            )
            file = {
                "job_id": reservation.job_id,
                "tenant": reservation.request.tenant,
                "file_sha256": reservation.file_sha256,
                "created_at": reservation.reserved_at,
            }
            connection.execute(_insert_if_absent(connection, accepted_files, file))

        await self._database.run(work)

    async def free(self, job_id: str) -> None:
        """The job does not exist and never will: its key can be used again."""
        await self._database.run(
            lambda connection: connection.execute(delete(reservations).where(*_in_progress(job_id)))
        )

    async def abandoned(self) -> list[Reservation]:
        """Those that have to be settled."""

        def work(connection: Connection) -> list[Reservation]:
            query = select(reservations).where(reservations.c.expires_at.is_(None), reservations.c.lease_until <= now())
            return [_reservation(row) for row in connection.execute(query)]

        return await self._database.run(work)

    async def forget(self) -> None:
        """Removes answers and files whose time is over."""

        def work(connection: Connection) -> None:
            connection.execute(delete(reservations).where(reservations.c.expires_at <= now()))
            connection.execute(delete(accepted_files).where(accepted_files.c.created_at <= now() - FILE_MEMORY))

        await self._database.run(work)

    async def same_files(self, tenant: str, file_sha256: str) -> list[SameFile]:
        """The jobs that these bytes became in the last 30 days, newest first, at most 20."""

        def work(connection: Connection) -> list[SameFile]:
            query = (
                select(accepted_files.c.job_id, accepted_files.c.created_at)
                .where(
                    accepted_files.c.tenant == tenant,
                    accepted_files.c.file_sha256 == file_sha256,
                    accepted_files.c.created_at > now() - FILE_MEMORY,
                )
                .order_by(accepted_files.c.created_at.desc())
                .limit(_SAME_FILES_SHOWN)
            )
            return [SameFile(row.job_id, row.created_at) for row in connection.execute(query)]

        return await self._database.run(work)

    async def _set_lease(self, job_id: str, until: datetime) -> bool:
        def work(connection: Connection) -> bool:
            change = update(reservations).where(*_in_progress(job_id)).values(lease_until=until)
            return connection.execute(change).rowcount == 1

        return await self._database.run(work)


def _state(connection: Connection, request: KeyedRequest) -> KeyState:
    query = select(reservations).where(
        reservations.c.tenant == request.tenant,
        reservations.c.key == request.key,
        or_(reservations.c.expires_at.is_(None), reservations.c.expires_at > now()),
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return Free()
    if row.expires_at is None and row.lease_until <= now():
        return Abandoned(_reservation(row))
    if row.fingerprint != request.fingerprint:
        return OtherRequest()
    return InProgress() if row.expires_at is None else Answered(row.answer, row.job_id)


def _in_progress(job_id: str) -> tuple[Any, ...]:
    return reservations.c.job_id == job_id, reservations.c.expires_at.is_(None)


def _insert_if_absent(connection: Connection, table: Table, values: dict[str, Any]) -> Insert:
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return dialect(table).values(values).on_conflict_do_nothing()


def _columns(reservation: Reservation) -> dict[str, Any]:
    request = reservation.request
    return {
        "tenant": request.tenant,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "job_id": reservation.job_id,
        "file_sha256": reservation.file_sha256,
        "file_name": reservation.file_name,
        "jobs_partition": reservation.jobs_partition,
        "jobs_offset": reservation.jobs_offset,
        "answer": reservation.answer,
        "reserved_at": reservation.reserved_at,
        "lease_until": now() + LEASE,
        "expires_at": None,
    }


def _reservation(row: Any) -> Reservation:
    return Reservation(
        KeyedRequest(row.tenant, row.key, row.fingerprint),
        row.job_id,
        row.file_sha256,
        row.file_name,
        row.jobs_partition,
        row.jobs_offset,
        row.answer,
        row.reserved_at,
    )
