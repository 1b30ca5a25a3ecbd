"""Rounds of the same row, and cancelled rows, in a lane."""

import asyncio

import pytest

from services.processor.job_commands import JobCommands
from services.processor.lane.row import State
from services.processor.offsets.watermark import Watermark
from shared.contract.events import JobCancelRequested, RowErrorCode, RowUnprocessed
from tests.support.processor.lane_doubles import (
    Clock,
    accepted,
    admit,
    beginning,
    finish,
    make_lane,
    record,
    retry,
)

EXPRESS, BULK = "hospital.rows.express", "hospital.rows.bulk"


@pytest.fixture
def clock():
    """The lane's time."""
    return Clock()


async def test_a_later_round_takes_the_place_of_one_that_waits(clock):
    """The earlier has a result of its own; the later is looked up first."""
    doubts = {}
    lane, transactions = make_lane(beginning(), on_doubt=doubts.__setitem__, clock=clock)
    admit(lane, accepted(2), accepted(2, round=2))
    await lane.committer.commit()
    assert [(type(event), event.round) for event in transactions.events] == [(RowUnprocessed, 1)]
    assert [row.event.round for row in doubts] == [2]


async def test_an_earlier_round_that_comes_later_is_unprocessed(clock):
    """A cancelled round behind the window, reached after its retry came on the other topic."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2, round=2))
    admit(lane, accepted(2, round=1), topic=BULK)
    await lane.committer.commit()
    assert [(type(event), event.round) for event in transactions.events] == [(RowUnprocessed, 1)]
    assert [row.event.round for row in lane.unfinished_rows()] == [2]


async def test_a_later_round_waits_for_a_call_in_flight(clock):
    """Two calls for one hospital at a time would create it twice."""
    doubts = {}
    lane, _ = make_lane(beginning(), on_doubt=doubts.__setitem__, clock=clock)
    admit(lane, accepted(2))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    admit(lane, accepted(2, round=2), start=1)
    admit(lane, accepted(2, round=3), start=2)
    assert doubts == {}, "both wait"
    finish(lane, row, row.created(7))
    lane.call_ended()
    assert [each.event.round for each in doubts] == [2]
    [second] = doubts
    assert second.state is State.IN_DOUBT
    retry(lane, second, 0.0)
    assert [each.event.round for each in doubts] == [2, 3], "the second round was superseded by the third"


async def test_the_same_row_twice_is_one_row(clock):
    """One call, one result."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2), accepted(2))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    finish(lane, row, row.created(1))
    await lane.committer.commit()
    assert len(transactions.events) == 1
    assert transactions.marks[EXPRESS].offset == 2


async def test_cancelled_rows_need_no_call(clock):
    """Neither waiting rows, nor rows delivered later, nor rows that come back from a call; other jobs go on."""
    job_commands = JobCommands(lambda jobs: [lane.cancel(job) for job in jobs], lambda: None)
    lane, transactions = make_lane(beginning(), job_commands=job_commands, clock=clock)
    admit(lane, *[accepted(row) for row in (2, 3, 4)], accepted(2, job_id="other"))
    await lane.committer.commit()
    first = lane.next_row(EXPRESS)
    lane.call_begins(first)
    job_commands.caught_up()
    job_commands.apply([record(JobCancelRequested(tenant="public", job_id="job"), 0)])
    admit(lane, accepted(5), start=4)
    retry(lane, first, 1.0)
    lane.call_ended()
    await lane.committer.commit()
    assert sorted((event.row, type(event)) for event in transactions.events) == [
        (row, RowUnprocessed) for row in (2, 3, 4, 5)
    ]
    assert lane.next_row(EXPRESS).event.job_id == "other"


async def test_after_many_cancelled_rows_the_next_one_is_permitted_soon(clock):
    """The horizon has to be computed from rows that are still to be sent."""
    job_commands = JobCommands(lambda jobs: [lane.cancel(job) for job in jobs], lambda: None)
    lane, _ = make_lane(beginning(), job_commands=job_commands, clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 102)], accepted(2, job_id="other"))
    await lane.committer.commit()
    job_commands.caught_up()
    job_commands.apply([record(JobCancelRequested(tenant="public", job_id="job"), 0)])
    await lane.committer.commit()
    assert lane.next_row(EXPRESS) is not None


async def test_a_retry_of_what_was_refused_or_not_sent_needs_no_look_up(clock):
    """Whether it may exist is what the retry says."""
    doubts = {}
    lane, _ = make_lane(beginning(), on_doubt=doubts.__setitem__, clock=clock)
    admit(lane, accepted(2, round=2, may_exist=False), accepted(3, round=2))
    await lane.committer.commit()
    assert lane.next_row(EXPRESS).event.row == 2
    assert [row.event.row for row in doubts] == [3]


async def test_a_former_owners_doubt_is_not_removed_by_a_retry(clock):
    """The row lies below its horizon: it may have been sent."""
    doubts = {}
    inherited = {EXPRESS: Watermark(0, 1)}
    lane, _ = make_lane(inherited, on_doubt=doubts.__setitem__, clock=clock)
    admit(lane, accepted(2, round=2, may_exist=False))
    await lane.committer.commit()
    assert lane.next_row(EXPRESS) is None
    assert [row.event.round for row in doubts] == [2]


async def test_a_former_owners_doubt_of_an_earlier_round_that_comes_later_is_looked_up(clock):
    """Although the later one came first, on the other topic, and could have been sent at once."""
    doubts = {}
    lane, transactions = make_lane({BULK: Watermark(0, 1)}, on_doubt=doubts.__setitem__, clock=clock)
    admit(lane, accepted(2, round=2, may_exist=False))
    await lane.committer.commit()
    later = lane.next_row(EXPRESS)
    assert later is not None
    admit(lane, accepted(2, round=1), topic=BULK)
    await lane.committer.commit()
    assert [(type(event), event.round) for event in transactions.events] == [(RowUnprocessed, 1)]
    assert (list(doubts), later.state, lane.next_row(EXPRESS)) == ([later], State.IN_DOUBT, None)
    retry(lane, later, 0.0)
    assert lane.next_row(EXPRESS) is later
    lane.call_begins(later)
    assert lane.next_row(EXPRESS) is None


@pytest.mark.parametrize(
    ("code", "looked_up"), [("rejected", False), ("attempts_exhausted", True), ("outcome_unknown", True)]
)
async def test_a_round_behind_one_that_ends_in_the_lane_is_in_doubt_as_that_one_was(clock, code, looked_up):
    """Whatever the retry says: it was made before that end."""
    doubts = {}
    lane, _ = make_lane(beginning(), on_doubt=doubts.__setitem__, clock=clock)
    admit(lane, accepted(2))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    admit(lane, accepted(2, round=2, may_exist=False), start=1)
    finish(lane, row, row.failed(RowErrorCode(code), "no"))
    lane.call_ended()
    assert bool(doubts) is looked_up


async def test_a_row_that_was_put_in_doubt_while_it_waited_is_not_sent_before_its_look_up(clock):
    """Its wait ends meanwhile, which changes nothing."""
    lane, _ = make_lane({BULK: Watermark(0, 1)}, clock=clock)
    admit(lane, accepted(2, round=2, may_exist=False))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    lane.call_ended()
    retry(lane, row, 0.01)
    admit(lane, accepted(2, round=1), topic=BULK)
    await asyncio.sleep(0.03)
    assert (row.state, lane.next_row(EXPRESS)) == (State.IN_DOUBT, None)
