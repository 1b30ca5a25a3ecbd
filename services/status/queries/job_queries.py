"""What the tables know of jobs."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, func, select, tuple_

from services.status.model.corrections import AnswerOutcome
from services.status.model.job_facts import searched
from services.status.model.job_state import JobStatus
from services.status.model.known_reports import KnownReport
from services.status.model.throughput import first_recent_slot, slot_of
from services.status.model.timestamps import Micros, micros
from services.status.queries.cancelled_jobs import (
    Moment,
    has_outcome,
    has_status,
    jobs_as_of,
    needs_attention,
    status_as_of,
)
from services.status.queries.corrections import link_columns
from services.status.tables.definitions import activations, batches, jobs, pace, processors
from services.status.web.tenant import Tenant

#: Slots of time, and how many rows got their result in each.
Slots = Sequence[tuple[int, int]]
#: A row of status_jobs that was accepted.
JobRow = Row[Any]


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, and how many there are in all."""

    total: int
    jobs: list[JobRow]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted. `text` is looked for in file name and job id, in any case; `begin` <= uploaded < `end`."""

    status: JobStatus | None = None
    text: str | None = None
    outcome: AnswerOutcome | None = None
    needs_attention: bool | None = None
    file_name: str | None = None
    begin: datetime | None = None
    end: datetime | None = None

    def conditions(self, at: Micros) -> Iterator[ColumnElement[bool]]:
        """The conditions for a job at that moment."""
        if self.status is not None:
            yield has_status(self.status, at)
        if self.text:
            yield jobs.c.searched.contains(searched(self.text), autoescape=True)
        if self.outcome is not None:
            yield has_outcome(self.outcome, at)
        if self.needs_attention is not None:
            wanted = needs_attention(at)
            yield wanted if self.needs_attention else ~wanted
        if self.file_name is not None:
            yield jobs.c.file_name == self.file_name
        if self.begin is not None:
            yield jobs.c.created_at >= micros(self.begin)
        if self.end is not None:
            yield jobs.c.created_at < micros(self.end)


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


def recent_slots(connection: Connection, job_ids: Collection[str], at: Micros) -> Mapping[str, Slots]:
    """How many rows of each job got their result in which second of the last minute; idle jobs are left out."""
    statement = select(pace.c.job_id, pace.c.slot, pace.c.hospitals).where(
        pace.c.job_id.in_(job_ids), pace.c.slot.between(first_recent_slot(at), slot_of(at))
    )
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for job_id, slot, hospitals in connection.execute(statement):
        found[job_id].append((slot, hospitals))
    return dict(found)


def reports(connection: Connection) -> list[KnownReport]:
    """The latest report of every processor."""
    found = connection.execute(select(processors.c.report)).scalars()
    return [KnownReport.model_validate_json(report) for report in found]


def status_counts(connection: Connection, at: datetime) -> dict[str, int]:
    """How many jobs have which status at that moment."""
    status = status_as_of(micros(at)).label("shown")
    statement = select(status, func.count()).where(jobs.c.created_at.is_not(None)).group_by(status)
    return {status: hospitals for status, hospitals in connection.execute(statement)}  # noqa: C416 - rows, not pairs
