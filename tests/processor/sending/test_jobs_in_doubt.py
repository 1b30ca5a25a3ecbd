"""Which jobs have rows in doubt, and until when: what a processor reports of them."""

from datetime import UTC, datetime, timedelta

import pytest

from services.processor.directory.outcomes import Listed, LookupFailed
from services.processor.lane.row import State
from services.processor.lane.transitions import AttemptRules
from services.processor.sending.batch_in_doubt import DoubtCount
from services.processor.sending.jobs_in_doubt import MAX_JOBS, jobs_in_doubt
from services.processor.sending.lookups import LookupQueue
from shared.contract.events import JobInDoubt
from tests.support.processor.lane_doubles import Clock, FakeLane, accepted, make_row

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def clock():
    """The queue's time."""
    return Clock()


@pytest.fixture
def lookups(clock):
    return LookupQueue(AttemptRules(3, 5.0, lambda _failures: 7.0), lambda: None, 20.0, clock)


def put_in_doubt(lookups, *rows, at, lane=None, job_id="job", batch_id="batch"):
    lane = lane or FakeLane()
    for row in rows:
        event = accepted(row, job_id=job_id, batch_id=batch_id)
        lookups.add(lane, make_row(event, state=State.IN_DOUBT), at)
    return lane


def look_up(lookups, clock, outcome):
    [_, batch_id] = lookups.least_failed()
    lookups.begin(batch_id)
    lookups.record_outcome(batch_id, clock.now, outcome)


def told(counts, not_before=0.0):
    return jobs_in_doubt(counts, not_before, lambda at: MIDNIGHT + timedelta(seconds=at))


def test_a_job_is_in_doubt_until_the_last_of_its_rows_may_be_looked_up():
    """Over all its batches; the job with the most rows first."""
    counts = [DoubtCount("few", 1, 90.0), DoubtCount("many", 2, 10.0), DoubtCount("many", 3, 5.0)]
    assert told(counts) == (
        JobInDoubt(job_id="many", rows=5, until=MIDNIGHT + timedelta(seconds=10)),
        JobInDoubt(job_id="few", rows=1, until=MIDNIGHT + timedelta(seconds=90)),
    )


def test_an_open_circuit_breaker_keeps_all_of_them_waiting():
    """Their own time may have come long ago."""
    until = [each.until for each in told([DoubtCount("a", 2, 90.0), DoubtCount("b", 1, 10.0)], not_before=60.0)]
    assert until == [MIDNIGHT + timedelta(seconds=90), MIDNIGHT + timedelta(seconds=60)]


def test_a_report_tells_of_the_jobs_with_the_most_rows_in_doubt():
    """It is one record, and there may be a row in doubt of each of thousands of jobs."""
    found = told([DoubtCount(f"job {rows}", rows, 1.0) for rows in range(1, 2 * MAX_JOBS)])
    assert [each.rows for each in found] == list(range(2 * MAX_JOBS - 1, MAX_JOBS - 1, -1))


def test_rows_are_counted_by_batch(lookups, clock):
    """Those of all lanes together."""
    put_in_doubt(lookups, 2, 3, at=clock.now + 5)
    put_in_doubt(lookups, 4, at=clock.now + 9)
    put_in_doubt(lookups, 2, at=clock.now + 1, job_id="other", batch_id="b2")
    assert list(lookups.counts()) == [("job", 3, clock.now + 9), ("other", 1, clock.now + 1)]


def test_rows_that_a_look_up_has_answered_for_are_not_counted_any_more(lookups, clock):
    """The others are, until their own time."""
    put_in_doubt(lookups, 2, 3, at=clock.now)
    put_in_doubt(lookups, 4, at=clock.now + 9)
    look_up(lookups, clock, Listed(()))
    assert list(lookups.counts()) == [("job", 1, clock.now + 9)]
    clock.now += 9
    look_up(lookups, clock, Listed(()))
    assert list(lookups.counts()) == []


def test_a_look_up_that_fails_is_counted_with_the_time_of_the_next(lookups, clock):
    """So the time left does not say 0 while look-ups fail."""
    put_in_doubt(lookups, 2, at=clock.now)
    look_up(lookups, clock, LookupFailed("boom"))
    assert list(lookups.counts()) == [("job", 1, clock.now + 7)]


def test_rows_of_a_lane_that_has_ended_are_not_counted(lookups, clock):
    """Its next owner counts them."""
    put_in_doubt(lookups, 2, at=clock.now + 5)
    gone = put_in_doubt(lookups, 3, 4, at=clock.now + 9)
    gone.ended = True
    assert list(lookups.counts()) == [("job", 1, clock.now + 5)]
    put_in_doubt(lookups, 3, 4, at=clock.now + 2)
    assert list(lookups.counts()) == [("job", 3, clock.now + 5)]
