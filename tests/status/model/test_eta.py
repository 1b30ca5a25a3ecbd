"""Why a job is slow, and how long it will take, from what the processors report."""

import pytest

from services.status.model.eta import (
    WaitingFor,
    Work,
    eta_seconds,
    flows_since,
    next_try_at,
    stalled_since,
    waiting_for,
)
from services.status.model.known_reports import known_report
from services.status.model.throughput import Throughput
from shared.contract.events import JobInDoubt
from tests.support.status.job_histories import at
from tests.support.status.job_histories import report as reported

NOW = at(10)
#: Two rows a second for ten seconds.
FLOWING = Work(60, Throughput(rows=20, seconds=10.0), job_id="job-1")
STALLED = Work(60, job_id="job-1")
ACTIVATING = Work(0, job_id="job-1", activating=True)
BUSY = [{"partition": 0, "lag_rows": 5_000}]
TAKING_OVER = [{"partition": 0, "taking_over": True}]


def report(*instance_and_seconds, **more):
    """A processor's first report, as the tables keep it."""
    return known_report(reported(*instance_and_seconds, **more), None)


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
    express = Work(60, express=True)
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
        (Work(0, FLOWING.throughput), [report(seconds=8, rate_limit=5)]),
        (ACTIVATING, [report(seconds=8, rate_limit=5)]),
        (FLOWING, [report(seconds=8, lanes=TAKING_OVER)]),
        (FLOWING, [report("a", 8, lanes=BUSY), report("b", 0.5, lanes=[{"partition": 1}])]),
        (Work(60, Throughput(rows=20, seconds=10.0, silent=4.1)), [report(seconds=8)]),
        (FLOWING, [report(seconds=8, jobs_in_doubt=[JobInDoubt(job_id="job-1", rows=3)])]),
    ],
)
def test_nobody_can_tell_the_time_left_when_nothing_moves(work, reports):
    """An honest null is better than a number that lies."""
    assert eta(*reports, work=work) is None


ALL_AT_ONCE = {
    "paused": True,
    "breaker": "open",
    "lanes": [{"partition": 0, "taking_over": True, "in_flight": 4, "lag_rows": 5_000}],
    "jobs_in_doubt": [JobInDoubt(job_id="job-1", rows=60)],
    "rate_limit": 2,
    "rows_per_second": 2,
    "connections": 4,
}


def test_of_several_reasons_the_strongest_is_named():
    """In this order; the last one is left when nothing else holds."""
    well = {
        "paused": False,
        "breaker": "closed",
        "lanes": [{"partition": 0, "in_flight": 4, "lag_rows": 5_000}],
        "jobs_in_doubt": [],
        "rate_limit": None,
        "connections": 5,
    }
    named = []
    holding = dict(ALL_AT_ONCE)
    for each in (None, *well):
        holding |= {each: well[each]} if each else {}
        named.append(reason(report(seconds=8, **holding), work=STALLED))
    assert named == [
        WaitingFor.PAUSED,
        WaitingFor.CIRCUIT_BREAKER,
        WaitingFor.TAKEOVER,
        WaitingFor.LOOK_UPS,
        WaitingFor.RATE_LIMIT,
        WaitingFor.DIRECTORY_SLOW,
        WaitingFor.QUEUE,
    ]


def test_a_pause_is_known_when_every_processor_is_gone():
    """As during maintenance: starting one would not help."""
    assert reason(report(seconds=-60, paused=True)) is WaitingFor.PAUSED
    assert reason(report("a", -60, paused=True), report("b", -50)) is WaitingFor.NO_PROCESSOR


def test_after_the_last_row_a_job_waits_for_its_activation():
    """Unless nothing can be sent at all; one whose rows did not all become hospitals waits for nothing."""
    assert reason(report(seconds=8), work=ACTIVATING) is WaitingFor.ACTIVATION
    assert reason(report(seconds=8, breaker="open"), work=ACTIVATING) is WaitingFor.CIRCUIT_BREAKER
    assert reason(work=Work(0)) is None


def test_a_lane_without_an_owner_is_being_taken_over():
    """Its processor has gone, and no other has told of it yet."""
    gone = report("b", -20, lanes=[{"partition": 1}])
    assert reason(report("a", 8, lanes=[{"partition": 0}]), gone) is WaitingFor.TAKEOVER
    assert reason(report("a", 8, lanes=[{"partition": 0}, {"partition": 1}]), gone) is None


def test_rows_in_doubt_take_until_they_may_be_looked_up():
    """Those of this job; the others flow meanwhile."""
    doubts = [JobInDoubt(job_id="job-1", rows=10, until=at(50)), JobInDoubt(job_id="job-2", rows=99, until=at(99))]
    assert eta(report(seconds=8, jobs_in_doubt=doubts)) == 45.0
    assert reason(report(seconds=8, jobs_in_doubt=doubts), work=Work(10, job_id="job-1")) is WaitingFor.LOOK_UPS


def test_since_when_rows_flow_or_not_is_kept_from_report_to_report():
    """What was before an outage tells nothing of the rate after it."""
    told = [
        reported("a", 0),
        reported("a", 2, breaker="open", next_try_at=at(30)),
        reported("a", 6, breaker="half_open"),
    ]
    told += [reported("a", 8), reported("a", 9)]
    known = [known_report(told[0], None)]
    for each in told[1:]:
        known.append(known_report(each, known[-1]))
    assert [each.since for each in known] == [at(0), at(2), at(2), at(8), at(8)]
    assert flows_since(known[-1:], NOW) == at(8)
    assert (stalled_since(WaitingFor.CIRCUIT_BREAKER, known[1:2], NOW), flows_since(known[1:2], NOW)) == (at(2), None)
    assert stalled_since(WaitingFor.RATE_LIMIT, known[1:2], NOW) is None
    assert next_try_at(WaitingFor.CIRCUIT_BREAKER, known[1:2], NOW) == at(30)


def test_a_silence_that_the_directory_asked_for_is_told_apart_from_our_own_pace():
    """By when it is called again."""
    own, asked = report(seconds=8, rate_limit=2), report(seconds=8, rate_limit=2, retry_after_until=at(14))
    assert reason(own) is reason(asked) is WaitingFor.RATE_LIMIT
    assert [next_try_at(WaitingFor.RATE_LIMIT, [each], NOW) for each in (own, asked)] == [None, at(14)]
