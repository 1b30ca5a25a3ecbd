"""What the tables know of jobs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, func, select, tuple_

from services.status.model.job_facts import searched
from services.status.model.job_state import JobStatus
from services.status.model.row_results import SLOT_SECONDS, slot_of
from services.status.model.timestamps import Micros, micros
from services.status.queries.cancelled_jobs import Moment, has_status, jobs_as_of, status_as_of
from services.status.queries.corrections import link_columns
from services.status.tables.definitions import activations, batches, jobs, pace, processors
from services.status.web.tenant import Tenant
from shared.contract.events import ProcessorReported

#: How many slots of time count as the last minute, the running one included.
_SLOTS = 60 // SLOT_SECONDS + 1

#: A row of status_jobs that was accepted.
JobRow = Row[Any]


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, and how many there are in all."""

    total: int
    jobs: list[JobRow]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted. `text` is looked for in file name and job id, in any case."""

    status: JobStatus | None = None
    text: str | None = None

    def conditions(self, at: Micros) -> Iterator[ColumnElement[bool]]:
        """The conditions for a job at that moment."""
        if self.status is not None:
            yield has_status(self.status, at)
        if self.text:
            yield jobs.c.searched.contains(searched(self.text), autoescape=True)


def visible(tenant: Tenant | BindParameter[str], at: Moment) -> Select[Any]:
    """The accepted jobs that the tenant may see, as they are at that moment."""
    accepted = jobs_as_of(at).where(jobs.c.created_at.is_not(None))
    return accepted if tenant is None else accepted.where(jobs.c.tenant == tenant)


def job(connection: Connection, tenant: Tenant, job_id: str, at: datetime) -> JobRow | None:
    """The job at that moment; None when the tenant has none of that id, or it is not known yet."""
    return _one(connection, visible(tenant, micros(at)).where(jobs.c.job_id == job_id))


def _one(connection: Connection, statement: Select[Any]) -> JobRow | None:
    found: JobRow | None = connection.execute(statement).one_or_none()
    return found


def job_page(
    connection: Connection,
    tenant: Tenant,
    wanted_jobs: JobFilter,
    after: tuple[Micros, str] | None,
    limit: int,
    at: datetime,
) -> JobPage:
    """The tenant's jobs at that moment, newest first, after a position."""
    wanted = visible(tenant, micros(at)).where(*wanted_jobs.conditions(micros(at)))
    counted = wanted.with_only_columns(func.count(), maintain_column_froms=True)
    total = connection.execute(counted).scalar_one()
    if after:
        wanted = wanted.where(tuple_(jobs.c.created_at, jobs.c.job_id) < tuple_(*after))
    newest = wanted.add_columns(*link_columns()).order_by(jobs.c.created_at.desc(), jobs.c.job_id.desc()).limit(limit)
    return JobPage(total, list(connection.execute(newest)))


def requested_round(connection: Connection, job_id: str) -> int | None:
    """The last round that was requested; None when the job is not known any more."""
    return connection.execute(select(jobs.c.requested_round).where(jobs.c.job_id == job_id)).scalar_one_or_none()


def job_of_batch(connection: Connection, tenant: Tenant, batch_id: str, at: datetime) -> JobRow | None:
    """The job that the batch belongs to at that moment; None as for `job`."""
    of_batch = select(batches.c.job_id).where(batches.c.batch_id == batch_id).scalar_subquery()
    return _one(connection, visible(tenant, micros(at)).where(jobs.c.job_id == of_batch))


def batch_ids(connection: Connection, job_id: str) -> list[str]:
    """The job's batches, in order."""
    statement = select(batches.c.batch_id).where(batches.c.job_id == job_id).order_by(batches.c.position)
    return list(connection.execute(statement).scalars())


def activated_batches(connection: Connection, job_id: str) -> set[str]:
    """Those of the job's batches that are activated."""
    statement = select(activations.c.batch_id).where(activations.c.job_id == job_id, activations.c.activated)
    return set(connection.execute(statement).scalars())


def recent_rates(connection: Connection, job_ids: Collection[str], at: Micros) -> dict[str, float]:
    """Rows per second of the last minute or so; jobs in which nothing happened are left out."""
    statement = (
        select(pace.c.job_id, func.sum(pace.c.hospitals), func.min(pace.c.slot), func.min(jobs.c.started_at))
        .join_from(pace, jobs, pace.c.job_id == jobs.c.job_id)
        .where(pace.c.job_id.in_(job_ids), pace.c.slot.between(first_recent_slot(at), slot_of(at)))
        .group_by(pace.c.job_id)
    )
    found = connection.execute(statement)
    return {job_id: rate(hospitals, oldest, started_at, at) for job_id, hospitals, oldest, started_at in found}


def first_recent_slot(at: Micros) -> int:
    """Where the last minute begins."""
    return slot_of(at) - _SLOTS + 1


def rate(hospitals: int, oldest_slot: int, started_at: Micros | None, at: Micros) -> float:
    """Rows per second, of so many since that slot began, or since the job started in the middle of it.

    Processors say when a job started. One whose clock is ahead says a moment that has not come: it is left out.
    """
    started = started_at if started_at is not None and started_at <= at else 0
    since = max(oldest_slot * SLOT_SECONDS, started / 1_000_000)
    return hospitals / max(at / 1_000_000 - since, 1.0)


def reports(connection: Connection) -> list[ProcessorReported]:
    """The latest report of every processor."""
    found = connection.execute(select(processors.c.report)).scalars()
    return [ProcessorReported.model_validate_json(report) for report in found]


def status_counts(connection: Connection, at: datetime) -> dict[str, int]:
    """How many jobs have which status at that moment."""
    status = status_as_of(micros(at)).label("shown")
    statement = select(status, func.count()).where(jobs.c.created_at.is_not(None)).group_by(status)
    return {status: hospitals for status, hospitals in connection.execute(statement)}  # noqa: C416 - rows, not pairs
