"""Why a job is slow, and how long it will still take, from what the processors report. Pure: no database, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.events import BreakerState, ProcessorReported

#: A processor that has been silent for longer is gone.
SILENCE: Final = timedelta(seconds=15)
#: Results per permitted request from which on the pace is what holds a job up.
_SATURATED: Final = 0.8


class WaitingFor(StrEnum):
    """What holds a job up."""

    RATE_LIMIT = "rate_limit"
    CIRCUIT_BREAKER = "circuit_breaker"
    QUEUE = "queue"
    NO_PROCESSOR = "no_processor"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Work:
    """What is left of a job: rows without a result, and how many got one a second in the last minute."""

    rows_left: int
    rows_per_second: float


def waiting_for(work: Work, reports: Sequence[ProcessorReported], at: datetime) -> WaitingFor | None:
    """The reason, None when the job flows. Nothing flows faster than the strongest reason lets it."""
    present = [report for report in reports if at - report.occurred_at <= SILENCE]
    if not present:
        return WaitingFor.NO_PROCESSOR
    if any(report.paused for report in present):  # a pause holds for all; some have not heard of it yet
        return WaitingFor.PAUSED
    if all(report.breaker is not BreakerState.CLOSED for report in present):
        return WaitingFor.CIRCUIT_BREAKER
    if all(report.retry_after_until and report.retry_after_until > at for report in present):
        return WaitingFor.RATE_LIMIT
    if work.rows_left and not work.rows_per_second and _backlog(present) > work.rows_left:
        return WaitingFor.QUEUE
    return WaitingFor.RATE_LIMIT if _saturated(present) else None


def eta_seconds(work: Work, reason: WaitingFor | None) -> float | None:
    """At the pace of the last minute; None when nothing moves or nothing is left to be measured."""
    moving = reason in (None, WaitingFor.RATE_LIMIT)
    if not (moving and work.rows_left and work.rows_per_second):
        return None
    return round(work.rows_left / work.rows_per_second, 1)


def _backlog(reports: Sequence[ProcessorReported]) -> int:
    return sum(lane.lag_rows for report in reports for lane in report.lanes)


def _saturated(reports: Sequence[ProcessorReported]) -> bool:
    limits = [report.rate_limit for report in reports if report.rate_limit]
    return bool(limits) and sum(report.rows_per_second for report in reports) >= _SATURATED * min(limits)
