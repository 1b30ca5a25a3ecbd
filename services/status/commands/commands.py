"""What people order over HTTP: cancel, retry, resolve. Each appends its event to hospital.jobs, and does nothing else.

cancel    JobCancelRequested   every processor reads it: rows that were not sent become unprocessed
retry     JobRetryRequested    the partition's owner (`owner`) writes the rows of the new round
resolve   RowResolved          the projection settles the row
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeVar

import structlog
from sqlalchemy import Connection, Row, select

from services.status.model.job_state import FINAL, JobStatus
from services.status.model.row_results import RowStatus
from services.status.queries import job_queries
from services.status.queries.job_queries import JobRow
from services.status.queries.lookup import JobLookup
from services.status.tables.definitions import rows
from services.status.web.tenant import Tenant
from shared.contract.events import JobCancelRequested, JobEvent, JobRetryRequested, RowErrorCode, RowResolved, now
from shared.runtime.problems import Problem, kafka_down
from shared.runtime.publisher import KafkaUnavailable, Publisher
from shared.runtime.tenants import OPEN_TENANT

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SEND_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class CommandAccepted:
    """The event stands on the topic. `message` says for a person what follows."""

    job_id: str
    round: int
    message: str


@dataclass(frozen=True, slots=True)
class _Retryable:
    job: JobRow
    #: Rows without a hospital of which the columns are known.
    hospitals: int


@dataclass(frozen=True, slots=True)
class _RowOfJob:
    job: JobRow
    row: Row[Any] | None


class Commands:
    """Takes orders. `settling_seconds`: lease + time-out + settle time, after which nothing sent is under way."""

    def __init__(self, lookup: JobLookup, publisher: Publisher, topic: str, settling_seconds: float) -> None:
        self._lookup = lookup
        self._publisher = publisher
        self._topic = topic
        self._settling = timedelta(seconds=settling_seconds)

    async def cancel(self, tenant: Tenant, job_id: str) -> CommandAccepted:
        """Rows that were not sent are not to be sent.

        Raises a problem: 404 no such job of this tenant, 409 it has ended, 503 Kafka or the database is down.
        """
        job = await self._find(tenant, job_id, _itself)
        _refuse_to_cancel(job)
        if job.cancelled_round < job.round:
            await self._append(
                JobCancelRequested(
                    tenant=job.tenant,
                    job_id=job.job_id,
                    round=job.round,
                    settles_at=now() + self._settling,
                )
            )
        left = job.total_hospitals - job.created_hospitals - job.failed_hospitals - job.unprocessed_hospitals
        detail = f"The job is being cancelled: what of the {left} hospitals left has not been sent will not be sent."
        return CommandAccepted(job.job_id, job.round, detail)

    async def retry(self, tenant: Tenant, job_id: str) -> CommandAccepted:
        """Failed and unprocessed rows are to run again. Raises a problem as `cancel` does: 409 when none can."""
        found = await self._find(tenant, job_id, _retryable)
        job = found.job
        _refuse_to_retry(job, found.hospitals)
        await self._append(JobRetryRequested(tenant=job.tenant, job_id=job.job_id, round=job.round + 1))
        return CommandAccepted(
            job.job_id, job.round + 1, f"{found.hospitals} hospitals run again, as round {job.round + 1}."
        )

    async def resolve(self, tenant: Tenant, job_id: str, row: int, hospital_id: int | str | None) -> CommandAccepted:
        """A person looked: the row's hospital is that one, None = it is not in the directory.

        Raises a problem: 404 no such job or row, 409 the row's outcome is not unknown, 503 as above.
        """

        def find(connection: Connection, job: JobRow) -> _RowOfJob:
            statement = select(rows).where(rows.c.job_id == job.job_id, rows.c.row == row)
            return _RowOfJob(job, connection.execute(statement).one_or_none())

        found = await self._find(tenant, job_id, find)
        stored, job = _open_to_a_decision(found, row), found.job
        resolved_by = tenant or OPEN_TENANT
        await self._append(
            RowResolved(
                tenant=job.tenant,
                job_id=job.job_id,
                row=row,
                round=stored.round,
                hospital_id=hospital_id,
                resolved_by=resolved_by,
            )
        )
        log.info("row_resolved", job_id=job.job_id, row=row, hospital_id=hospital_id, resolved_by=resolved_by)
        detail = (
            f"Row {row} counts as failed: it is not in the directory, and can be retried."
            if hospital_id is None
            else f"Row {row} counts as created: hospital {hospital_id}."
        )
        return CommandAccepted(job.job_id, stored.round, detail)

    async def _find(self, tenant: Tenant, job_id: str, question: Callable[[Connection, JobRow], T]) -> T:
        def find(connection: Connection) -> T | None:
            job = job_queries.job(connection, tenant, job_id)
            return None if job is None else question(connection, job)

        return await self._lookup.job(job_id, find)

    async def _append(self, event: JobEvent) -> None:
        try:
            await self._publisher.send(self._topic, event, _SEND_SECONDS)
        except KafkaUnavailable as error:
            raise kafka_down() from error


def _itself(_: Connection, job: JobRow) -> JobRow:
    return job


def _retryable(connection: Connection, job: JobRow) -> _Retryable:
    return _Retryable(job, job_queries.retryable_rows(connection, job.job_id))


def _refuse_to_cancel(job: JobRow) -> None:
    if JobStatus(job.status) in FINAL:
        raise Problem(409, "job_ended", f"The job has ended ({job.status}): there is nothing left to cancel.")
    if job.created_hospitals + job.failed_hospitals + job.unprocessed_hospitals >= job.total_hospitals:
        raise Problem(409, "job_ended", "Every hospital of the job has its result: there is nothing left to cancel.")


def _refuse_to_retry(job: JobRow, hospitals: int) -> None:
    if JobStatus(job.status) not in FINAL:
        detail = "The job still runs: wait for its end, or cancel it; then what failed or was not sent can be retried."
        raise Problem(409, "job_running", detail, retry_after=5)
    if job.finished_round < job.round:
        detail = "The cancelled job is still being wound up: the processors have not passed all of its rows. Try again."
        raise Problem(409, "job_winding_up", detail, retry_after=5)
    if not hospitals:
        raise Problem(409, "nothing_to_retry", _nothing_to_retry(job))


def _nothing_to_retry(job: JobRow) -> str:
    if job.created_hospitals >= job.total_hospitals:
        return "Every hospital of the job was created: there is nothing to retry."
    return "The rows that failed could not be read, so they cannot run again: upload them as a new file."


def _open_to_a_decision(found: _RowOfJob, row: int) -> Row[Any]:
    """The row. Raises a problem unless its outcome is unknown, or was until somebody said that it is absent."""
    stored, job = found.row, found.job
    if stored is None:
        _refuse_unknown_row(job, row)
    if stored.round < job.round and stored.status != RowStatus.CREATED:
        raise Problem(409, "row_running", f"Row {row} runs again: it has no result yet.", retry_after=5)
    if stored.status != RowStatus.FAILED or stored.error_code != RowErrorCode.OUTCOME_UNKNOWN:
        detail = f"Row {row} is {stored.status}: only a row whose outcome is unknown can be settled by hand."
        raise Problem(409, "row_not_unknown", detail)
    return stored


def _refuse_unknown_row(job: JobRow, row: int) -> NoReturn:
    processed = job.created_hospitals + job.failed_hospitals + job.unprocessed_hospitals
    if row < 2 or job.finished_round >= job.round or processed >= job.total_hospitals:
        raise Problem(404, "not_found", f"The job has no row {row}.")
    raise Problem(409, "row_running", f"Row {row} has no result yet.", retry_after=5)
