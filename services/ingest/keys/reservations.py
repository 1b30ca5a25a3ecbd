"""Idempotency keys in use. A reservation is committed before the first record is sent, and never expires unresolved.

    (free) ──reserve──> in progress ──accept──> answered ──TTL──> (free)
                            └────────free─────> (free)

`accept` and `free` are called by the upload that made the reservation. Recovery calls them after its lease has ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Insert, Table, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.ingest.keys.tables import accepted_files, reservations
from shared.contract.events import now
from shared.runtime.databases import Database

#: An upload in progress that is not renewed for so long is abandoned.
LEASE: Final = timedelta(seconds=15)
#: How long an accepted file is kept, to recognise the same file.
_FILE_RETENTION: Final = timedelta(days=30)
_MAX_SAME_FILES: Final = 20
#: How long a transaction may take when no budget says otherwise.
_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """What two uploads have in common that are the same request."""

    tenant: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """A key of a job in progress, and the answer that the upload will get."""

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
    """The key is not in use."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The same request was answered before."""

    answer: bytes
    job_id: str


@dataclass(frozen=True, slots=True)
class InProgress:
    """The first request with the key has no answer yet."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The first request broke off, or its outcome is unknown: it has to be settled."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """The key belongs to another file or to other parameters."""


KeyState = Free | Answered | InProgress | Abandoned | OtherRequest


@dataclass(frozen=True, slots=True)
class SameFile:
    """A job that was made of the same bytes before."""

    job_id: str
    created_at: datetime


class Reservations:
    """The keys in the database. Every method is one transaction of at most `seconds` and raises DatabaseDown.

    `ttl_seconds`: how long an answer is kept. `now`: the time in UTC.
    """

    def __init__(self, database: Database, ttl_seconds: float, now: Callable[[], datetime] = now) -> None:
        self._database = database
        self._ttl = timedelta(seconds=ttl_seconds)
        self._now = now

    async def look_up(self, request: KeyedRequest, seconds: float = _SECONDS) -> KeyState:
        """The state of the request's key."""
        return await self._database.run(lambda connection: self._state(connection, request), seconds)

    async def reserve(self, reservation: Reservation, seconds: float = _SECONDS) -> bool:
        """Reserves the key for 15 s, unless renewed. False: another request has reserved it."""

        def work(connection: Connection) -> bool:
            request = reservation.request
            connection.execute(
                delete(reservations).where(
                    reservations.c.tenant == request.tenant,
                    reservations.c.key == request.key,
                    reservations.c.expires_at <= self._now(),
                )
            )
            written = connection.execute(
                _insert_if_absent(connection, reservations, _columns(reservation, self._now()))
            )
            return written.rowcount == 1

        return await self._database.run(work, seconds)

    async def renew(self, job_id: str) -> bool:
        """Extends the reservation to 15 s from now. False: it was settled."""
        return await self._set_lease(job_id, self._now() + LEASE)

    async def abandon(self, job_id: str) -> None:
        """Ends the lease, because the outcome is unknown: the next request with the key settles it."""
        await self._set_lease(job_id, self._now())

    async def accept(self, reservation: Reservation) -> None:
        """Stores that the job exists. Its key is answered until the time to live is over. May be called twice."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(reservations).where(*_in_progress(reservation.job_id)).values(expires_at=self._now() + self._ttl)
            )
            file = {
                "job_id": reservation.job_id,
                "tenant": reservation.request.tenant,
                "file_sha256": reservation.file_sha256,
                "created_at": reservation.reserved_at,
            }
            connection.execute(_insert_if_absent(connection, accepted_files, file))

        await self._database.run(work, _SECONDS)

    async def free(self, job_id: str) -> None:
        """Frees the key: the job does not exist and never will."""
        deletion = delete(reservations).where(*_in_progress(job_id))
        await self._database.run(lambda connection: connection.execute(deletion), _SECONDS)

    async def abandoned(self) -> list[Reservation]:
        """The reservations that have to be settled."""
        query = select(reservations).where(
            reservations.c.expires_at.is_(None), reservations.c.lease_until <= self._now()
        )

        def work(connection: Connection) -> list[Reservation]:
            return [_reservation(row) for row in connection.execute(query)]

        return await self._database.run(work, _SECONDS)

    async def delete_expired(self) -> None:
        """Deletes answers and files that have expired."""

        def work(connection: Connection) -> None:
            oldest = self._now() - _FILE_RETENTION
            connection.execute(delete(reservations).where(reservations.c.expires_at <= self._now()))
            connection.execute(delete(accepted_files).where(accepted_files.c.created_at <= oldest))

        await self._database.run(work, _SECONDS)

    async def same_files(self, tenant: str, file_sha256: str, seconds: float = _SECONDS) -> list[SameFile]:
        """The tenant's jobs of the same bytes in the last 30 days, newest first, at most 20."""
        query = (
            select(accepted_files.c.job_id, accepted_files.c.created_at)
            .where(
                accepted_files.c.tenant == tenant,
                accepted_files.c.file_sha256 == file_sha256,
                accepted_files.c.created_at > self._now() - _FILE_RETENTION,
            )
            .order_by(accepted_files.c.created_at.desc())
            .limit(_MAX_SAME_FILES)
        )

        def work(connection: Connection) -> list[SameFile]:
            return [SameFile(row.job_id, row.created_at) for row in connection.execute(query)]

        return await self._database.run(work, seconds)

    async def _set_lease(self, job_id: str, until: datetime) -> bool:
        def work(connection: Connection) -> bool:
            change = update(reservations).where(*_in_progress(job_id)).values(lease_until=until)
            return connection.execute(change).rowcount == 1

        return await self._database.run(work, _SECONDS)

    def _state(self, connection: Connection, request: KeyedRequest) -> KeyState:
        query = select(reservations).where(
            reservations.c.tenant == request.tenant,
            reservations.c.key == request.key,
            or_(reservations.c.expires_at.is_(None), reservations.c.expires_at > self._now()),
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return Free()
        if row.expires_at is None and row.lease_until <= self._now():
            return Abandoned(_reservation(row))
        if row.fingerprint != request.fingerprint:
            return OtherRequest()
        return InProgress() if row.expires_at is None else Answered(row.answer, row.job_id)


def _in_progress(job_id: str) -> tuple[Any, ...]:
    return reservations.c.job_id == job_id, reservations.c.expires_at.is_(None)


def _insert_if_absent(connection: Connection, table: Table, values: dict[str, Any]) -> Insert:
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return dialect(table).values(values).on_conflict_do_nothing()


def _columns(reservation: Reservation, reserved_at: datetime) -> dict[str, Any]:
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
        "lease_until": reserved_at + LEASE,
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
