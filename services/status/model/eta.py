"""Why a job is slow, and how long it will still take, from what the processors report. Pure: no database, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.status.model.known_reports import KnownReport
from services.status.model.throughput import NOTHING_YET, Throughput
from shared.contract.events import BreakerState, JobInDoubt, ProcessorReported

#: A processor that has been silent for longer is gone,
REPORT_MAX_AGE: Final = timedelta(seconds=15)
#: and after this time nobody can say any more whether its rows flow: it has missed a report.
_REPORT_LATE: Final = timedelta(seconds=9)
#: Results per permitted request from which on the rate limit is what holds a job up.
_SATURATED: Final = 0.8
#: For so long after a cancel the processors have not yet told all rows that were not sent.
_CANCELLED: Final = timedelta(seconds=3)


class WaitingFor(StrEnum):
    """What holds a job up. The first of these that holds is named."""

    PAUSED = "paused"
    NO_PROCESSOR = "no_processor"
    CIRCUIT_BREAKER = "circuit_breaker"
    TAKEOVER = "takeover"  # a processor has gone, and what it sent is waited for
    LOOK_UPS = "look_ups"  # only rows are left that may exist already: they are looked up first
    RATE_LIMIT = "rate_limit"
    DIRECTORY_SLOW = "directory_slow"  # every connection waits for an answer
    QUEUE = "queue"
    ACTIVATION = "activation"  # every row has its result


#: Nothing moves until somebody or something changes it: nobody can know how long that takes.
_STALLED: Final = frozenset(
    {WaitingFor.CIRCUIT_BREAKER, WaitingFor.NO_PROCESSOR, WaitingFor.PAUSED, WaitingFor.TAKEOVER}
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is left of a job: rows without a result, and how many got one of late.

    `express`: its rows go before those of large jobs; `activating`: every row is created, and its batches wait.
    """

    rows_left: int
    throughput: Throughput = NOTHING_YET
    express: bool = False
    job_id: str = ""
    activating: bool = False


def waiting_for(work: Work, reports: Sequence[KnownReport], at: datetime) -> WaitingFor | None:
    """The reason, None when the job flows. Nothing flows faster than the strongest reason lets it."""
    active = active_reports(reports, at)
    if not work.rows_left and not work.activating:
        return None
    if any(report.paused for report in active or _last(reports)):  # a pause holds for all, also for who comes next
        return WaitingFor.PAUSED
    if not active:
        return WaitingFor.NO_PROCESSOR
    if all(report.breaker is not BreakerState.CLOSED for report in active):
        return WaitingFor.CIRCUIT_BREAKER
    if not work.rows_left:
        return WaitingFor.ACTIVATION
    if _is_taken_over(reports, active):
        return WaitingFor.TAKEOVER
    return _slowed_by(work, active, at)


def _slowed_by(work: Work, active: Sequence[KnownReport], at: datetime) -> WaitingFor | None:
    if sum(each.rows for each in _in_doubt(work, active)) >= work.rows_left:
        return WaitingFor.LOOK_UPS
    if _retry_after_seconds(active, at) or _saturated(work, active):
        return WaitingFor.RATE_LIMIT
    if _is_slow(active):
        return WaitingFor.DIRECTORY_SLOW
    return WaitingFor.QUEUE if _is_queued(work, active) else None


def eta_seconds(work: Work, reason: WaitingFor | None, reports: Sequence[KnownReport], at: datetime) -> float | None:
    """Seconds that the rest takes, at the rate of late; before the first results at the configured one.

    Rows that are ahead count where the job is in the queue, and for rows in doubt the time until they may be looked up.
    None when nothing moves, or nobody can know the rate.
    """
    if not work.rows_left or reason in _STALLED:
        return None
    active = active_reports(reports, at)
    pace = work.throughput.per_second(_configured(active))
    late = any(at - report.occurred_at > _REPORT_LATE for report in active)
    if not pace or late or work.throughput.is_silent(pace):
        return None
    ahead = max(work.rows_left, _backlog(work, active)) if _is_queued(work, active) else work.rows_left
    in_doubt = _in_doubt(work, active)
    doubtful = min(sum(each.rows for each in in_doubt), work.rows_left)
    # The rate of late knows nothing of rows in doubt, which may have been waited for.
    after = doubtful / (_configured(active) or pace)
    until = [_seconds_until(each.until, at) for each in in_doubt]
    if None in until:
        return None
    flowing = _retry_after_seconds(active, at) + (ahead - doubtful) / pace
    return round(max([flowing, *(each for each in until if each is not None)]) + after, 1)


def cancelled_eta_seconds(
    work: Work, cancelled_at: datetime, settles_at: datetime, reports: Sequence[KnownReport], at: datetime
) -> float | None:
    """Seconds until a cancelled job is over, None while nobody can know.

    At first rows that were not sent are being told so; then some may be on their way. Others lie behind rows of other
    jobs, and are not waited for longer than until the cancel has settled.
    """
    on_their_way = sum(lane.in_flight for report in active_reports(reports, at) for lane in report.lanes)
    if at - cancelled_at < _CANCELLED or work.rows_left <= on_their_way:
        return None
    return round(max((settles_at - at).total_seconds(), 0.0), 1)


def flows_since(reports: Sequence[KnownReport], at: datetime) -> datetime | None:
    """Since when rows can flow as they do now: what was before an outage, a pause or a takeover tells nothing."""
    known = [report.since for report in active_reports(reports, at) if report.since is not None and report.flows]
    return max(known, default=None)


def stalled_since(reason: WaitingFor | None, reports: Sequence[KnownReport], at: datetime) -> datetime | None:
    """Since when the processors cannot send, where that is the reason."""
    if reason not in (WaitingFor.CIRCUIT_BREAKER, WaitingFor.PAUSED):
        return None
    known = active_reports(reports, at) or _last(reports)
    return min((report.since for report in known if report.since is not None and not report.flows), default=None)


def next_try_at(reason: WaitingFor | None, reports: Sequence[KnownReport], at: datetime) -> datetime | None:
    """When the first processor calls the directory again, which does not answer or asked for silence; else None."""
    active = active_reports(reports, at)
    if reason is WaitingFor.RATE_LIMIT and _retry_after_seconds(active, at):
        return min(report.retry_after_until for report in active if report.retry_after_until is not None)
    if reason is not WaitingFor.CIRCUIT_BREAKER:
        return None
    return min((report.next_try_at for report in active if report.next_try_at is not None), default=None)


def active_reports(reports: Sequence[KnownReport], at: datetime) -> list[KnownReport]:
    """Processors that have reported lately. Those without a lane count only when no other has one: they are spare."""
    present = [report for report in reports if at - report.occurred_at <= REPORT_MAX_AGE]
    return [report for report in present if report.lanes] or present


def _last(reports: Sequence[KnownReport]) -> list[KnownReport]:
    newest = max(reports, key=lambda report: report.occurred_at, default=None)
    return [] if newest is None else [newest]


def _is_taken_over(reports: Sequence[ProcessorReported], active: Sequence[ProcessorReported]) -> bool:
    """Whether a lane does not send yet, or one of a processor that has gone has no owner yet."""
    owned = {lane.partition for report in active for lane in report.lanes}
    known = {lane.partition for report in reports for lane in report.lanes}
    return bool(known - owned) or any(lane.taking_over for report in active for lane in report.lanes)


def _in_doubt(work: Work, active: Sequence[ProcessorReported]) -> list[JobInDoubt]:
    return [each for report in active for each in report.jobs_in_doubt if each.job_id == work.job_id]


def _seconds_until(moment: datetime | None, at: datetime) -> float | None:
    return None if moment is None else max((moment - at).total_seconds(), 0.0)


def _retry_after_seconds(active: Sequence[ProcessorReported], at: datetime) -> float:
    """Seconds until the first processor may send again after the directory's `Retry-After`; 0 when one may now."""
    until = [report.retry_after_until or at for report in active]
    return max((min(until, default=at) - at).total_seconds(), 0.0)


def _is_queued(work: Work, active: Sequence[ProcessorReported]) -> bool:
    """Whether rows of others go first, and none of this job has had its turn lately."""
    return not work.throughput.rows and _backlog(work, active) > work.rows_left


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
    return bool(limit) and max(work.throughput.measured, together) >= _SATURATED * limit


def _is_slow(active: Sequence[ProcessorReported]) -> bool:
    """Whether every connection of every processor that tells of them is in use."""
    telling = [report for report in active if report.connections is not None]
    return bool(telling) and all(
        sum(lane.in_flight for lane in report.lanes) >= (report.connections or 0) for report in telling
    )
