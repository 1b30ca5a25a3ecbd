"""Why a job is slow, and how long it will still take, from what the processors report. Pure: no database, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.contract.events import BreakerState, ProcessorReported

#: A processor that has been silent for longer is gone.
REPORT_MAX_AGE: Final = timedelta(seconds=15)
#: Results per permitted request from which on the rate limit is what holds a job up.
_SATURATED: Final = 0.8


class WaitingFor(StrEnum):
    """What holds a job up."""

    RATE_LIMIT = "rate_limit"
    CIRCUIT_BREAKER = "circuit_breaker"
    QUEUE = "queue"
    NO_PROCESSOR = "no_processor"
    PAUSED = "paused"


#: Nothing moves until somebody or something changes it: nobody can know how long that takes.
_STALLED: Final = frozenset({WaitingFor.CIRCUIT_BREAKER, WaitingFor.NO_PROCESSOR, WaitingFor.PAUSED})


@dataclass(frozen=True, slots=True)
class Work:
    """What is left of a job: rows without a result, and how many got one a second in the last minute.

    `express`: its rows go before those of large jobs.
    """

    rows_left: int
    rows_per_second: float
    express: bool = False


def waiting_for(work: Work, reports: Sequence[ProcessorReported], at: datetime) -> WaitingFor | None:
    """The reason, None when the job flows. Nothing flows faster than the strongest reason lets it."""
    active = _active(reports, at)
    if not active:
        return WaitingFor.NO_PROCESSOR
    if any(report.paused for report in active):  # a pause holds for all; some have not heard of it yet
        return WaitingFor.PAUSED
    if all(report.breaker is not BreakerState.CLOSED for report in active):
        return WaitingFor.CIRCUIT_BREAKER
    if _retry_after_seconds(active, at):
        return WaitingFor.RATE_LIMIT
    if work.rows_left and not work.rows_per_second and _backlog(work, active) > work.rows_left:
        return WaitingFor.QUEUE
    return WaitingFor.RATE_LIMIT if _saturated(work, active) else None


def eta_seconds(
    work: Work, reason: WaitingFor | None, reports: Sequence[ProcessorReported], at: datetime
) -> float | None:
    """Seconds that the rest takes, at the rate of the job's last minute.

    Before its first results: at the configured rate, for all rows that may go before it. None when nothing moves, or
    nobody can know the rate.
    """
    if not work.rows_left or reason in _STALLED:
        return None
    active = _active(reports, at)
    pace, ahead = work.rows_per_second, work.rows_left
    if not pace:
        pace = _configured(active)
        ahead = max(ahead, _backlog(work, active)) if reason is WaitingFor.QUEUE else ahead
    return round(_retry_after_seconds(active, at) + ahead / pace, 1) if pace else None


def _active(reports: Sequence[ProcessorReported], at: datetime) -> list[ProcessorReported]:
    """Processors that have reported lately. Those without a lane count only when no other has one: they are spare."""
    present = [report for report in reports if at - report.occurred_at <= REPORT_MAX_AGE]
    return [report for report in present if report.lanes] or present


def _retry_after_seconds(active: Sequence[ProcessorReported], at: datetime) -> float:
    """Seconds until the first processor may send again after the directory's `Retry-After`; 0 when one may now."""
    until = [report.retry_after_until or at for report in active]
    return max((min(until, default=at) - at).total_seconds(), 0.0)


def _backlog(work: Work, active: Sequence[ProcessorReported]) -> int:
    """Rows that may be sent before the job's last one, its own included."""
    lanes = [lane for report in active for lane in report.lanes]
    if work.express and all(lane.lag_express_rows is not None for lane in lanes):
        return sum(lane.lag_express_rows or 0 for lane in lanes)
    return sum(lane.lag_rows for lane in lanes)


def _configured(active: Sequence[ProcessorReported]) -> float:
    """Calls a second over all processors; 0 without a limit."""
    return min((report.rate_limit for report in active if report.rate_limit), default=0.0)


def _saturated(work: Work, active: Sequence[ProcessorReported]) -> bool:
    """Whether the rate limit is used up: by the job alone, or by all jobs, whose rate is that of the last minute."""
    limit = _configured(active)
    together = sum(report.rows_per_second for report in active)
    return bool(limit) and max(work.rows_per_second, together) >= _SATURATED * limit
