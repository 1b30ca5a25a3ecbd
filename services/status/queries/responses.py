"""Builds the answers about jobs from what the tables know."""

import json
import math
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row

from services.status.model import messages
from services.status.model.corrections import AnswerOutcome, NamedRows
from services.status.model.eta import Work, eta_seconds, waiting_for
from services.status.model.job_state import FINAL, JobStatus
from services.status.model.row_results import RowStatus
from services.status.model.timestamps import Micros, micros, moment, moment_or_none
from services.status.queries import job_queries
from services.status.queries.corrections import corrected_by, named_rows
from services.status.queries.cursors import cursor
from services.status.queries.job_queries import JobFilter, JobRow
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
from shared.contract.events import CancelReason, ProcessorReported, RowErrorCode

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
    rates = job_queries.recent_rates(connection, running, micros(at)) if running else {}
    reports = job_queries.reports(connection) if running else []
    return [summary(job, rates.get(job.job_id, 0.0), reports, None, at) for job in jobs]


def summary(
    job: JobRow, rate: float, reports: Sequence[ProcessorReported], batch_id: str | None, at: datetime
) -> JobSummary:
    """The job in the list. `rate`: rows per second of late; `batch_id`: the one that its message may name."""
    status, outcome = JobStatus(job.status), AnswerOutcome(job.outcome) if job.outcome else None
    processed = _processed(job)
    work = Work(job.total_hospitals - processed, rate, job.express)
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
        eta_seconds=_time_left(job, eta_seconds(work, reason, reports, at), cancelled_at, micros(at)),
        waiting_for=reason,
        error=messages.error(job.job_id, status, job.refusal, outcome),
    )


def _time_left(job: JobRow, estimate: float | None, cancelled_at: Micros | None, at: Micros) -> float | None:
    """Of a job that is being cancelled no more than it may take until nothing of it is under way any more."""
    if job.status in FINAL:
        return None
    if cancelled_at is None or job.cancel_settles_at is None:
        return estimate
    settled = round(max(float(job.cancel_settles_at - at), 0.0) / 1_000_000, 1)
    return settled if estimate is None else min(estimate, settled)


def _processed(job: JobRow) -> int:
    return int(job.created_hospitals + job.failed_hospitals + job.unprocessed_hospitals)


def _percentage(processed: int, total: int) -> float:
    """Rounded down: 100 means all."""
    return math.floor(10_000 * processed / total) / 100


def _processing_time(job: JobRow) -> float | None:
    if job.completed_at is None or job.started_at is None:
        return None
    micros_taken: int = max(job.completed_at - job.started_at, 0)
    return round(micros_taken / 1_000_000, 3)


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
