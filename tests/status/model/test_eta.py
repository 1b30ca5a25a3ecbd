"""Why a job is slow, and how long it will take, from what the processors report."""

import pytest

from services.status.model.eta import WaitingFor, Work, eta_seconds, waiting_for
from tests.support.status.job_histories import at, report

NOW = at(10)
FLOWING = Work(rows_left=60, rows_per_second=2.0)
STALLED = Work(rows_left=60, rows_per_second=0.0)
BUSY = [{"partition": 0, "lag_rows": 5_000}]


def reason(*reports, work=FLOWING):
    return waiting_for(work, reports, NOW)


def test_nothing_holds_up_a_job_that_flows():
    """Pace to spare, breaker closed."""
    assert reason(report(seconds=8, rate_limit=10, rows_per_second=2)) is None


@pytest.mark.parametrize("reports", [[], [report(seconds=-5.1)]])
def test_a_processor_that_was_silent_for_15_seconds_is_gone(reports):
    """Its last words say nothing any more."""
    assert reason(*reports) is WaitingFor.NO_PROCESSOR


def test_a_report_of_just_15_seconds_still_counts():
    """Three reports in a row have to be missing."""
    assert reason(report(seconds=-5)) is None


def test_a_pause_holds_for_all_processors():
    """Some have not heard of it yet."""
    assert reason(report("a", 8, paused=True), report("b", 8)) is WaitingFor.PAUSED


@pytest.mark.parametrize("state", ["open", "half_open"])
def test_breakers_hold_up_a_job_when_none_is_closed(state):
    """One processor that gets through is enough for rows to flow."""
    assert reason(report("a", 8, breaker=state), report("b", 8, breaker="open")) is WaitingFor.CIRCUIT_BREAKER
    assert reason(report("a", 8, breaker=state), report("b", 8)) is None


def test_the_directorys_wish_to_be_left_alone_is_a_rate_limit():
    """Retry-After, until it is over."""
    assert reason(report(seconds=8, retry_after_until=at(11))) is WaitingFor.RATE_LIMIT
    assert reason(report(seconds=8, retry_after_until=at(9))) is None


def test_a_pace_that_is_used_up_is_a_rate_limit():
    """The pace is that of all processors together."""
    reports = [report("a", 8, rate_limit=10, rows_per_second=4.5), report("b", 8, rate_limit=10, rows_per_second=4.5)]
    assert reason(*reports) is WaitingFor.RATE_LIMIT


def test_a_job_that_stands_behind_a_larger_backlog_waits_in_the_queue():
    """Others' rows get their results, ours do not yet."""
    assert reason(report(seconds=8, lanes=BUSY), work=STALLED) is WaitingFor.QUEUE
    assert reason(report(seconds=8, lanes=BUSY), work=FLOWING) is None


def test_an_express_job_does_not_wait_behind_rows_of_large_jobs():
    """Its rows go first: only those before them count."""
    lanes = [{"partition": 0, "lag_rows": 5_000, "lag_express_rows": 40}]
    express = Work(rows_left=60, rows_per_second=0.0, express=True)
    assert reason(report(seconds=8, lanes=lanes), work=express) is None
    assert reason(report(seconds=8, lanes=lanes), work=STALLED) is WaitingFor.QUEUE
    lanes = [{"partition": 0, "lag_rows": 5_000, "lag_express_rows": 900}]
    assert reason(report(seconds=8, lanes=lanes), work=express) is WaitingFor.QUEUE


def test_a_spare_processor_without_lanes_says_nothing_about_those_that_work():
    """Its breaker is closed because it never calls; but it is there."""
    spare, open_ = report("a", 8), report("b", 8, breaker="open", lanes=BUSY)
    assert reason(spare, open_) is WaitingFor.CIRCUIT_BREAKER
    assert reason(spare) is None


def test_a_job_that_alone_uses_up_the_pace_waits_for_it_from_its_first_seconds_on():
    """The processors' rate is that of a minute, and would show it only then."""
    young = report(seconds=8, rate_limit=2, rows_per_second=0.1)
    assert reason(young, work=FLOWING) is WaitingFor.RATE_LIMIT


def eta(*reports, work=FLOWING):
    return eta_seconds(work, reason(*reports, work=work), reports, NOW)


def test_the_time_left_is_what_the_pace_of_the_last_minute_says():
    """60 rows at 2 a second; also when the pace is limited, since that is the pace."""
    assert eta(report(seconds=8)) == eta(report(seconds=8, rate_limit=2, rows_per_second=2)) == 30.0


def test_before_the_first_results_the_configured_pace_says_it():
    """60 rows at 5 a second; without a limit nobody can know."""
    assert eta(report(seconds=8, rate_limit=5), work=STALLED) == 12.0
    assert eta(report(seconds=8), work=STALLED) is None


def test_in_the_queue_all_that_may_stand_before_the_job_counts():
    """5,000 rows at 5 a second: later perhaps than it will be, never sooner."""
    assert eta(report(seconds=8, rate_limit=5, lanes=BUSY), work=STALLED) == 1_000.0


def test_the_time_that_the_directory_wants_to_be_left_alone_is_added():
    """Retry-After of all processors: the first one to go on counts."""
    held = [report(name, 8, retry_after_until=at(until)) for name, until in (("a", 14), ("b", 90))]
    assert eta(*held) == 34.0


@pytest.mark.parametrize(
    ("work", "reports"),
    [
        (FLOWING, [report(seconds=8, breaker="open", rate_limit=5)]),
        (FLOWING, [report(seconds=8, paused=True, rate_limit=5)]),
        (FLOWING, [report(seconds=-20, rate_limit=5)]),
        (FLOWING, []),
        (STALLED, [report(seconds=8)]),
        (Work(0, 2.0), [report(seconds=8, rate_limit=5)]),
    ],
)
def test_nobody_can_tell_the_time_left_when_nothing_moves(work, reports):
    """An honest null is better than a number that lies."""
    assert eta(*reports, work=work) is None
