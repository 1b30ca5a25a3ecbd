"""Jobs as they are at a moment: a cancelled one may be over although not every row has its result yet.

A cancelled job is over at `JobCancelRequested.settles_at`: nothing of it can be under way any more. Rows behind the
processors' windows get their results later. No event changes the tables at that moment, so the queries compare it with
the clock. When the last rows have their results, JobFinished follows, and says the same.
"""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, case, or_, select
from sqlalchemy.sql import Select

from services.status.model.corrections import AnswerOutcome
from services.status.model.job_state import FINAL, JobStatus
from services.status.model.timestamps import Micros
from services.status.tables.definitions import jobs
from shared.contract.events import JobOutcome

_FINAL = sorted(status.value for status in FINAL)

#: One that is known, or is named only when the statement is executed.
Moment = Micros | BindParameter[Micros]


def jobs_as_of(at: Moment) -> Select[Any]:
    """Every column of status_jobs, as it is to be answered at that moment."""
    is_over = _is_over(at)
    seen = {
        "status": case((is_over, JobStatus.CANCELLED.value), else_=jobs.c.status),
        "outcome": case((is_over, JobOutcome.CANCELLED.value), else_=jobs.c.outcome),
        "unprocessed_hospitals": case((is_over, _not_sent()), else_=jobs.c.unprocessed_hospitals),
        "completed_at": _completed_at(is_over),
    }
    return select(*(seen.get(column.name, column).label(column.name) for column in jobs.c))


def status_as_of(at: Micros) -> ColumnElement[str]:
    """The job's status at that moment."""
    return case((_is_over(at), JobStatus.CANCELLED.value), else_=jobs.c.status)


def has_status(status: JobStatus, at: Micros) -> ColumnElement[bool]:
    """Whether that is the job's status at that moment; written so that the index on the status can be used."""
    stored = jobs.c.status == status.value
    if status is JobStatus.CANCELLED:
        return or_(stored, and_(jobs.c.status.not_in(_FINAL), _is_over(at)))
    return stored if status in FINAL else and_(stored, ~_is_over(at))


def has_outcome(outcome: AnswerOutcome, at: Micros) -> ColumnElement[bool]:
    """Whether the job has ended so, as answers say it at that moment."""
    ended = and_(jobs.c.status.in_(_FINAL), jobs.c.outcome == outcome.value)
    return or_(ended, _is_over(at)) if outcome is AnswerOutcome.CANCELLED else ended


def needs_attention(at: Micros) -> ColumnElement[bool]:
    """Whether somebody should look at a job that has ended: open rows that failed, or hospitals that are not active.

    Rows that were not sent are no reason by themselves: somebody cancelled it. Nor is a job that only waits for what
    corrects it.
    """
    open_rows = jobs.c.failed_hospitals + jobs.c.unprocessed_hospitals > jobs.c.corrected_hospitals
    inactive = and_(jobs.c.created_hospitals > 0, jobs.c.activated.is_(False))
    whole = jobs.c.created_hospitals >= jobs.c.total_hospitals
    refused = or_(whole, jobs.c.batches_refused > 0)
    reasons = or_(and_(open_rows, jobs.c.failed_hospitals > 0), and_(open_rows, inactive), and_(inactive, refused))
    return and_(or_(jobs.c.status.in_(_FINAL), _is_over(at)), reasons)


def _is_over(at: Moment) -> ColumnElement[bool]:
    """Cancelled in its last round, nothing under way any more, and something was not sent."""
    return and_(
        jobs.c.status.not_in(_FINAL),
        jobs.c.cancelled_round >= jobs.c.round,
        jobs.c.total_hospitals.is_not(None),
        _not_sent() > 0,
        jobs.c.cancel_settles_at.is_not(None),
        jobs.c.cancel_settles_at <= at,
    ).self_group()


def _not_sent() -> ColumnElement[int]:
    return jobs.c.total_hospitals - jobs.c.created_hospitals - jobs.c.failed_hospitals


def _completed_at(is_over: ColumnElement[bool]) -> ColumnElement[int]:
    """Results that come later do not change the moment."""
    settled = jobs.c.cancel_settles_at
    was_over = and_(
        jobs.c.status == JobStatus.CANCELLED.value,
        jobs.c.cancelled_round >= jobs.c.round,
        settled < jobs.c.completed_at,
    )
    return case((or_(is_over, was_over), settled), else_=jobs.c.completed_at)
