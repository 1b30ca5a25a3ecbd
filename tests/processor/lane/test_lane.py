"""A lane by itself: what it may send, and what it commits."""

import asyncio

import pytest

from services.processor.lane.row import State
from tests.support.processor.lane_doubles import (
    Clock,
    accepted,
    admit,
    beginning,
    lane_settings,
    make_lane,
    record,
    start_lane,
)

EXPRESS, BULK = "hospital.rows.express", "hospital.rows.bulk"


@pytest.fixture
def clock():
    """The lane's time."""
    return Clock()


async def test_nothing_is_sent_before_the_first_commit(clock):
    """After a crash the next owner would not know that the row may have been sent."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    admit(lane, accepted(2))
    assert lane.next_row(EXPRESS) is None
    await lane._commit()
    assert lane.next_row(EXPRESS).event.row == 2


async def test_a_commit_permits_what_the_rate_limit_allows_until_the_next_one_at_the_latest(clock):
    """The next commit is at most half a second away: 50 rows at 100 a second, and one for each connection."""
    lane = make_lane(lane_settings(rate_limit_requests=100), clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in range(2, 102)])
    await lane._commit()
    assert transactions.marks[EXPRESS].horizon == 2 + 50 + 1


async def test_a_slow_commit_puts_off_the_next(clock):
    """Otherwise a busy processor would do little but commit."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    commit = asyncio.create_task(lane._commit())
    await asyncio.sleep(0)
    clock.now += 0.0625
    transactions.broker_answer.set_result(None)
    await commit
    assert lane._schedule.seconds_until_next(clock.now) == 0.25


async def test_nothing_is_sent_after_the_lease(clock):
    """Whoever takes over waits only that long."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    admit(lane, accepted(2))
    await lane._commit()
    row = lane.next_row(EXPRESS)
    clock.now += 3.999
    assert lane.permits(row)
    clock.now += 0.001
    assert not lane.permits(row)
    assert lane.next_row(EXPRESS) is None


async def test_a_row_that_waits_comes_back_by_itself(clock):
    """It holds no connection and no slot meanwhile; fresh rows go first."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    admit(lane, accepted(2), accepted(3))
    await lane._commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    lane.retry(row, 0.01)
    lane.call_ended()
    assert row.state is State.WAITING
    assert lane.next_row(EXPRESS).event.row == 3
    await asyncio.sleep(0.05)
    assert row.state is State.READY


async def test_records_that_cannot_be_read_are_dead_letters_in_the_same_commit(clock):
    """The dead letter, the row's failed result and the offset, together or not at all."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    lane.admit(EXPRESS, [record(None, 0, key=b"job:7", value=b"{", headers=(("ce_type", b"RowAccepted"),))], 1)
    await lane._commit()
    records, marks = transactions.commits[-1]
    assert [topic for topic, *_ in records] == ["hospital.dead-letters", "hospital.results"]
    assert marks[EXPRESS].offset == 1


async def test_a_commit_covers_what_may_be_sent_before_the_next_and_no_more(clock):
    """Two connections, nothing sent before: two rows."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in range(2, 12)])
    await lane._commit()
    assert transactions.marks[EXPRESS].horizon == 2
    for _ in range(2):
        lane.call_begins(lane.next_row(EXPRESS))
    assert lane.next_row(EXPRESS) is None
    await lane._commit()
    assert transactions.marks[EXPRESS].horizon == 2 + 2 + 2 * 2


async def test_while_a_commit_is_under_way_its_horizon_does_not_hold_yet(clock):
    """It may fail, and the next owner would then read the horizon of the commit before."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in range(2, 12)])
    await lane._commit()
    for _ in range(2):
        lane.call_begins(lane.next_row(EXPRESS))
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    commit = asyncio.create_task(lane._commit())
    await asyncio.sleep(0)
    assert lane.next_row(EXPRESS) is None
    transactions.broker_answer.set_result(None)
    await commit
    assert lane.next_row(EXPRESS).event.row == 4


async def test_a_lane_with_work_is_woken_for_its_commit_a_third_of_a_lease_after_the_last(clock):
    """Even if something else has woken it since: another third from then on would be two thirds."""
    lane = make_lane(lane_settings(lease_seconds=300), clock=clock)
    start_lane(lane, beginning())
    admit(lane, accepted(2))
    await lane._commit()
    lane.call_begins(lane.next_row(EXPRESS))
    lane._wake.clear()
    clock.now += 99.99
    assert not lane._something_to_commit()
    async with asyncio.timeout(10):
        await lane._wait_until_due()
    clock.now += 0.01
    assert lane._something_to_commit()


async def test_an_idle_lane_sleeps(clock):
    """It has nothing to send, so it needs no permit."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    await lane._commit()
    lane._wake.clear()
    clock.now += 1000
    assert not lane._something_to_commit()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lane._wait_until_due(), 0.05)


async def test_a_result_for_a_lane_that_has_ended_changes_nothing(clock):
    """Its rows are looked up by the next owner."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, accepted(2))
    await lane._commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    lane.close()
    lane.finish(row, row.created(1))
    await lane._commit()
    assert transactions.events == []
    assert lane.next_row(EXPRESS) is None


async def test_its_report_counts_rows_and_lag(clock):
    """What an engineer on call looks at."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    admit(lane, accepted(2), accepted(3))
    await lane._commit()
    lane.call_begins(lane.next_row(EXPRESS))
    report = lane.report({EXPRESS: 10, BULK: 0})
    assert (report.in_flight, report.waiting, report.window_used, report.lag_rows) == (1, 1, 2, 10)
    assert lane.used == 2
    assert lane.has_room(EXPRESS, 9_998)
    assert not lane.has_room(BULK, 9_998), "a tenth is kept for express rows"
