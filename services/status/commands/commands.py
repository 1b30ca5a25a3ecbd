"""Commands over HTTP: cancel, retry, resolve. Each appends its event to hospital.jobs, and waits until it is shown.

cancel    JobCancelRequested   every processor reads it: rows that were not sent become unprocessed
retry     JobRetryRequested    the partition's `retry_consumer` writes the rows of the new round
resolve   RowResolved          the projection resolves the row

A command is accepted when it stands and has been projected. Every later answer, of any replica, knows of it: they share
the database.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Connection, Row, select

from services.status.commands.command_writer import CommandNotTaken, CommandUnsettled, CommandWriter, WrittenCommand
from services.status.commands.preconditions import (
    check_cancel,
    check_decided,
    check_resolve,
    check_retried,
    check_retry,
)
from services.status.model.row_results import Decision, decision_of
from services.status.model.timestamps import Clock
from services.status.queries import corrections, job_queries
from services.status.queries.job_queries import JobRow
from services.status.queries.lookup import JobLookup
from services.status.tables.definitions import resolutions, rows
from services.status.web.tenant import Tenant
from shared.contract.events import JobCancelRequested, JobEvent, JobRetryRequested, RowResolved, now
from shared.runtime.http.answer_budget import ANSWER_SECONDS, AnswerBudget
from shared.runtime.http.problems import Problem, kafka_down
from shared.runtime.http.tenants import OPEN_TENANT

log = structlog.get_logger(__name__)

#: A replica that dies is missed after 6 s; then the others go on with its partitions.
SHOWN_SECONDS: Final = 15.0
OUTCOME_UNKNOWN: Final = (
    "Kafka stopped answering in the moment in which the command was written: nobody knows yet whether it stands. Look "
    "at the job in a few seconds. Sending the command again does no harm."
)
NOT_SHOWN: Final = (
    "The command was taken, and will be carried out. The job does not show it yet, since events are being read late: "
    "look again in a few seconds."
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CommandAccepted:
    """The event is written. `message` says for a person what follows."""

    job_id: str
    round: int
    message: str


@dataclass(frozen=True, slots=True)
class _Retryable:
    job: JobRow
    #: Rows without a hospital that can run again: of the codes that were asked for, and not in any correction.
    hospitals: int
    #: Corrections of which nobody knows yet which rows they correct.
    unmatched: int


@dataclass(frozen=True, slots=True)
class _RowOfJob:
    job: JobRow
    row: Row[Any] | None


class Commands:
    """Takes commands.

    `settling_seconds`: lease + time-out + settle time. After them nothing that was sent is under way any more.
    `shown_seconds`: how long the projection of a command that stands is waited for.
    """

    def __init__(
        self,
        lookup: JobLookup,
        writer: CommandWriter,
        settling_seconds: float,
        clock: Clock = now,
        shown_seconds: float = SHOWN_SECONDS,
    ) -> None:
        self._lookup = lookup
        self._writer = writer
        self._settling = timedelta(seconds=settling_seconds)
        self._clock = clock
        self._shown_seconds = shown_seconds

    async def cancel(self, tenant: Tenant, job_id: str, budget: AnswerBudget) -> CommandAccepted:
        """Rows that were not sent are not to be sent.

        Raises a problem: 404 no such job of this tenant, 409 it has ended, 503 Kafka or the database is down.
        A 503 of the type command_outcome_unknown or command_not_shown says that the command stands, or may.
        """
        job = await self._find(tenant, job_id, lambda _, job: job, budget)
        check_cancel(job)
        if job.cancelled_round < job.round:
            at = self._clock()
            request = JobCancelRequested(
                tenant=job.tenant,
                job_id=job.job_id,
                round=job.round,
                occurred_at=at,
                settles_at=at + self._settling,
                requested_by=tenant or OPEN_TENANT,
            )
            await self._append(request, budget)
        left = job.total_hospitals - job.created_hospitals - job.failed_hospitals - job.unprocessed_hospitals
        message = f"The job is being cancelled: what of the {left} hospitals left has not been sent will not be sent."
        return CommandAccepted(job.job_id, job.round, message)

    async def retry(
        self, tenant: Tenant, job_id: str, budget: AnswerBudget, codes: Collection[str] = ()
    ) -> CommandAccepted:
        """Failed and unprocessed rows are to run again: of these codes, or all where none is given.

        Raises a problem as `cancel` does: 409 when none can. Every correction that was accepted before is known: its
        rows stay where they are.
        """
        await self._find(tenant, job_id, lambda _, job: job, budget)
        await self._lookup.caught_up(budget)
        found = await self._find(tenant, job_id, lambda connection, job: _retryable(connection, job, codes), budget)
        job, round_ = found.job, found.job.round + 1
        check_retry(job, found.hospitals, found.unmatched, codes)
        request = JobRetryRequested(
            tenant=job.tenant,
            job_id=job.job_id,
            round=round_,
            codes=tuple(sorted(codes)),
            requested_by=tenant or OPEN_TENANT,
        )
        await self._append(request, budget)
        check_retried(await self._read(lambda connection: job_queries.requested_round(connection, job_id)), round_)
        run = "1 hospital runs" if found.hospitals == 1 else f"{found.hospitals} hospitals run"
        return CommandAccepted(job.job_id, round_, f"{run} again, as round {round_}.")

    async def resolve(
        self, tenant: Tenant, job_id: str, row: int, hospital_id: int | str | None, budget: AnswerBudget
    ) -> CommandAccepted:
        """A person decides what became of a row. `hospital_id`: of its hospital, None = it is not in the directory.

        Raises a problem: 404 no such job or row, 409 the row's outcome is not unknown, 503 as above.
        """
        found = await self._find(tenant, job_id, lambda connection, job: _row_of(connection, job, row), budget)
        job, stored = found.job, check_resolve(found.job, row, found.row)
        resolved_by = tenant or OPEN_TENANT
        event = RowResolved(
            tenant=job.tenant,
            job_id=job.job_id,
            row=row,
            round=stored.round,
            hospital_id=hospital_id,
            resolved_by=resolved_by,
        )
        await self._append(event, budget)
        check_decided(await self._read(lambda connection: _decision(connection, event)), decision_of(event))
        log.info("row_resolved", job_id=job.job_id, row=row, hospital_id=hospital_id, resolved_by=resolved_by)
        message = (
            f"Row {row} counts as failed: it is not in the directory, and can be retried."
            if hospital_id is None
            else f"Row {row} counts as created: hospital {hospital_id}."
        )
        return CommandAccepted(job.job_id, stored.round, message)

    async def _find(
        self, tenant: Tenant, job_id: str, question: Callable[[Connection, JobRow], T], budget: AnswerBudget
    ) -> T:
        def find(connection: Connection) -> T | None:
            job = job_queries.job(connection, tenant, job_id, self._clock())
            return None if job is None else question(connection, job)

        return await self._lookup.job(job_id, find, budget)

    async def _append(self, event: JobEvent, budget: AnswerBudget) -> None:
        """Returns when the command stands and is shown. That takes longer than the budget when a replica has died."""
        written = await append(self._writer, event, budget)
        if not await self._lookup.is_passed(written.partition, written.offset, self._shown_seconds):
            raise Problem(503, "command_not_shown", NOT_SHOWN, retry_after=5)

    async def _read(self, question: Callable[[Connection], T]) -> T:
        """What became of a command that has been projected."""
        return await self._lookup.read(question, ANSWER_SECONDS)


async def append(writer: CommandWriter, event: JobEvent, budget: AnswerBudget) -> WrittenCommand:
    """Returns when the command stands. Raises a 503 problem: it never will, or nobody knows yet."""
    try:
        return await writer.append(event, budget)
    except CommandNotTaken as error:
        raise kafka_down() from error
    except CommandUnsettled as error:
        raise Problem(503, "command_outcome_unknown", OUTCOME_UNKNOWN, retry_after=5) from error


def _retryable(connection: Connection, job: JobRow, codes: Collection[str]) -> _Retryable:
    unmatched = corrections.unmatched_corrections(connection, job.job_id)
    return _Retryable(job, sum(corrections.open_rows(connection, job.job_id, codes).values()), unmatched)


def _row_of(connection: Connection, job: JobRow, row: int) -> _RowOfJob:
    statement = select(rows).where(rows.c.job_id == job.job_id, rows.c.row == row)
    return _RowOfJob(job, connection.execute(statement).one_or_none())


def _decision(connection: Connection, event: RowResolved) -> Decision | None:
    of_row = resolutions.c.job_id == event.job_id, resolutions.c.row == event.row, resolutions.c.round == event.round
    found = connection.execute(select(resolutions).where(*of_row)).one_or_none()
    return None if found is None else Decision(*found)
