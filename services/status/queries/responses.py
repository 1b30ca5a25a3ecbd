"""Builds the answers about jobs from what the tables know."""

import json
import math
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row

from services.status.model import messages
from services.status.model.corrections import AnswerOutcome, NamedRows
from services.status.model.eta import (
    WaitingFor,
    Work,
    cancelled_eta_seconds,
    eta_seconds,
    flows_since,
    next_try_at,
    stalled_since,
    waiting_for,
)
from services.status.model.job_state import FINAL, JobStatus
from services.status.model.known_reports import KnownReport
from services.status.model.row_results import RowStatus
from services.status.model.throughput import throughput
from services.status.model.timestamps import Micros, micros, moment, moment_or_none
from services.status.queries import job_queries
from services.status.queries.corrections import corrected_by, named_rows
from services.status.queries.cursors import cursor
from services.status.queries.job_queries import JobFilter, JobRow, Slots
from services.status.queries.row_queries import row_page, shown_status, undecided
from services.status.queries.schemas import (
    HospitalAnswer,
    JobAnswer,
    JobList,
    JobSummary,
    ResultAnswer,
    RowAnswer,
    RowList,
)
from services.status.web.tenant import Tenant
from shared.contract.events import CancelReason, RowErrorCode

#: `result` lists the rows of jobs up to this size, as the original application did; larger ones have pages.
RESULT_ROWS: Final = 1_000


def job_in_full(connection: Connection, job: JobRow, short: JobSummary, batch_ids: Sequence[str]) -> JobAnswer:
    """The job with its batches, and its rows when they are few."""
    result = _result(connection, job, batch_ids[0]) if job.total_hospitals <= RESULT_ROWS else None
    return JobAnswer(**dict(short), batch_ids=list(batch_ids), result=result)


def job_list(
    connection: Connection,
    tenant: Tenant,
    wanted: JobFilter,
    after: tuple[Micros, str] | None,
    limit: int,
    at: datetime,
) -> JobList:
    """A page of the tenant's jobs at that moment."""
    page = job_queries.job_page(connection, tenant, wanted, after, limit + 1, at)
    shown = page.jobs[:limit]
    following = cursor(shown[-1].created_at, shown[-1].job_id) if len(page.jobs) > limit else None
    return JobList(total_jobs=page.total, jobs=_summaries(connection, shown, at), next_cursor=following)


def row_list(connection: Connection, job: JobRow, outcome: RowStatus | None, after: int, limit: int) -> RowList:
    """A page of a job's rows."""
    found = row_page(connection, job, outcome, after, limit + 1)
    activated = job_queries.activated_batches(connection, job.job_id)
    shown = found[:limit]
    following = cursor(shown[-1].row) if len(found) > limit else None
    unknown, named = undecided(connection, job, shown), named_rows(connection, job.job_id)
    return RowList(rows=[_row(row, activated, unknown, named) for row in shown], next_cursor=following)


def _summaries(connection: Connection, jobs: Sequence[JobRow], at: datetime) -> list[JobSummary]:
    running = [job.job_id for job in jobs if job.status not in FINAL]
    slots = job_queries.recent_slots(connection, running, micros(at)) if running else {}
    reports = job_queries.reports(connection) if running else []
    return [summary(job, slots.get(job.job_id, ()), reports, None, at) for job in jobs]


def summary(
    job: JobRow, slots: Slots, reports: Sequence[KnownReport], batch_id: str | None, at: datetime
) -> JobSummary:
    """The job in the list. `slots`: its rows of the last minute; `batch_id`: the one that its message may name."""
    status, outcome = JobStatus(job.status), AnswerOutcome(job.outcome) if job.outcome else None
    processed = _processed(job)
    work = _work(job, slots, reports, at)
    reason = None if status in FINAL else waiting_for(work, reports, at)
    cancelled = job.cancelled_round >= job.round
    cancelled_at = job.cancel_requested_at if cancelled else None
    stopped = CancelReason(job.cancel_reason) if cancelled and job.cancel_reason else None
    return JobSummary(
        job_id=job.job_id,
        file_name=job.file_name,
        status=status,
        outcome=outcome if status in FINAL else None,
        message=messages.message(
            status,
            outcome,
            total=job.total_hospitals,
            created=job.created_hospitals,
            failed=job.failed_hospitals,
            unprocessed=job.unprocessed_hospitals,
            corrected=job.corrected_hospitals,
            cancelling=cancelled_at is not None,
            most_failures=job.max_failures if stopped is CancelReason.MAX_FAILURES else None,
            activated=job.activated,
            refused=job.refusal is not None,
            batch_id=batch_id,
        ),
        total_hospitals=job.total_hospitals,
        processed_hospitals=processed,
        created_hospitals=job.created_hospitals,
        failed_hospitals=job.failed_hospitals,
        unprocessed_hospitals=job.unprocessed_hospitals,
        unknown_hospitals=job.unknown_hospitals,
        corrects=job.corrects,
        corrected_by=corrected_by(job),
        corrected_hospitals=job.corrected_hospitals,
        progress_percentage=_percentage(processed, job.total_hospitals),
        activated=job.activated,
        created_at=moment(job.created_at),
        started_at=moment_or_none(job.started_at),
        completed_at=moment_or_none(job.completed_at),
        cancel_requested_at=moment_or_none(cancelled_at),
        cancel_reason=stopped,
        processing_time_seconds=_processing_time(job),
        active_seconds=_active_seconds(job, micros(at)),
        eta_seconds=_time_left(job, work, reason, reports, at),
        waiting_for=reason,
        waiting_since=stalled_since(reason, reports, at),
        next_try_at=next_try_at(reason, reports, at),
        error=messages.error(job.job_id, status, job.refusal, outcome),
    )


def _work(job: JobRow, slots: Slots, reports: Sequence[KnownReport], at: datetime) -> Work:
    """What is left, and how fast it goes since rows can flow in this round.

    Processors say when a round began. One whose clock is ahead says a moment that has not come: it is left out.
    """
    left = job.total_hospitals - _processed(job)
    flowing = flows_since(reports, at)
    round_start = job.round_started_at if job.timed_round == job.round else None
    begins = [moment for moment in (round_start, micros(flowing) if flowing else None) if moment is not None]
    since = max((moment for moment in begins if moment <= micros(at)), default=0)
    activating = job.status == JobStatus.PROCESSING and job.created_hospitals >= job.total_hospitals
    return Work(left, throughput(slots, since, micros(at)), job.express, job.job_id, activating)


def _time_left(
    job: JobRow, work: Work, reason: WaitingFor | None, reports: Sequence[KnownReport], at: datetime
) -> float | None:
    if job.status in FINAL:
        return None
    if job.cancelled_round < job.round or job.cancel_settles_at is None:
        return eta_seconds(work, reason, reports, at)
    return cancelled_eta_seconds(work, moment(job.cancel_requested_at), moment(job.cancel_settles_at), reports, at)


def _processed(job: JobRow) -> int:
    return int(job.created_hospitals + job.failed_hospitals + job.unprocessed_hospitals)


def _percentage(processed: int, total: int) -> float:
    """Rounded down: 100 means all."""
    return math.floor(10_000 * processed / total) / 100


def _processing_time(job: JobRow) -> float | None:
    """Of the last round in which a row ran, with the activation that followed it."""
    if job.completed_at is None or job.round_started_at is None:
        return None
    taken: int = _round_end(job, job.completed_at) - job.round_started_at
    return round(max(taken, 0) / 1_000_000, 3)


def _active_seconds(job: JobRow, at: Micros) -> float:
    """The time with work, over all rounds."""
    active: int = job.earlier_active
    if job.round_started_at is not None:
        end = _round_end(job, at if job.completed_at is None else job.completed_at)
        active += max(end - job.round_started_at, 0)
    return round(active / 1_000_000, 3)


def _round_end(job: JobRow, otherwise: Micros) -> Micros:
    """Of the last round in which a row ran. A later round without rows does not make it longer."""
    ended: Micros | None = job.round_ended_at
    if ended is not None and (job.timed_round < job.finished_round or job.completed_at is None):
        return ended
    return otherwise


def _result(connection: Connection, job: JobRow, batch_id: str) -> ResultAnswer:
    activated = job_queries.activated_batches(connection, job.job_id)
    found = row_page(connection, job, None, 0, RESULT_ROWS)
    return ResultAnswer(
        batch_id=batch_id,
        total_hospitals=job.total_hospitals,
        processed_hospitals=_processed(job),
        failed_hospitals=job.failed_hospitals,
        processing_time_seconds=_processing_time(job),
        batch_activated=job.activated,
        hospitals=[HospitalAnswer(row=row.row, name=row.name, status=shown_status(row, activated)) for row in found],
    )


def _row(row: Row[Any], activated: Collection[str], unknown: Collection[int], named: NamedRows) -> RowAnswer:
    return RowAnswer(
        row=row.row,
        name=row.name,
        status=shown_status(row, activated),
        hospital_id=None if row.hospital_id is None else json.loads(row.hospital_id),
        attempts=row.attempts,
        error_code=RowErrorCode(row.error_code) if row.error_code and row.status == RowStatus.FAILED else None,
        error=row.error,
        outcome_unknown=row.row in unknown,
        corrected=row.status != RowStatus.CREATED and row.row in named,
    )
