"""A lane by itself: what it may send, and what it commits."""

import asyncio

import pytest

from services.processor.lane.row import State
from tests.support.processor.lane_doubles import (
    Clock,
    accepted,
    admit,
    beginning,
    finish,
    lane_settings,
    make_lane,
    record,
    retry,
)

EXPRESS, BULK = "hospital.rows.express", "hospital.rows.bulk"


@pytest.fixture
def clock():
    """The lane's time."""
    return Clock()


async def test_nothing_is_sent_before_the_first_commit(clock):
    """After a crash the next owner would not know that the row may have been sent."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2))
    assert lane.next_row(EXPRESS) is None
    await lane.committer.commit()
    assert lane.next_row(EXPRESS).event.row == 2


async def test_a_commit_permits_what_the_rate_limit_allows_until_the_next_one_at_the_latest(clock):
    """The next commit is at most half a second away: 50 rows at 100 a second, and one for each connection."""
    lane, transactions = make_lane(beginning(), lane_settings(rate_limit_requests=100), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 102)])
    await lane.committer.commit()
    assert transactions.marks[EXPRESS].horizon == 2 + 50 + 1


async def test_a_slow_commit_puts_off_the_next(clock):
    """Otherwise a busy processor would do little but commit."""
    lane, transactions = make_lane(beginning(), clock=clock)
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    commit = asyncio.create_task(lane.committer.commit())
    await asyncio.sleep(0)
    clock.now += 0.0625
    transactions.broker_answer.set_result(None)
    await commit
    assert lane.committer.schedule.seconds_until_next(clock.now) == 0.25


async def test_nothing_is_sent_after_the_lease(clock):
    """Whoever takes over waits only that long."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    clock.now += 3.999
    assert lane.permits(row)
    clock.now += 0.001
    assert not lane.permits(row)
    assert lane.next_row(EXPRESS) is None


async def test_a_row_that_waits_comes_back_by_itself(clock):
    """It holds no connection and no slot meanwhile; fresh rows go first."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2), accepted(3))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    retry(lane, row, 0.01)
    lane.call_ended()
    assert row.state is State.WAITING
    assert lane.next_row(EXPRESS).event.row == 3
    await asyncio.sleep(0.05)
    assert row.state is State.READY


async def test_records_that_cannot_be_read_are_dead_letters_in_the_same_commit(clock):
    """The dead letter, the row's failed result and the offset, together or not at all."""
    lane, transactions = make_lane(beginning(), clock=clock)
    lane.admit(EXPRESS, [record(None, 0, key=b"job:7", value=b"{", headers=(("ce_type", b"RowAccepted"),))], 1)
    await lane.committer.commit()
    records, marks = transactions.commits[-1]
    assert [topic for topic, *_ in records] == ["hospital.dead-letters", "hospital.results"]
    assert marks[EXPRESS].offset == 1


async def test_a_commit_covers_what_may_be_sent_before_the_next_and_no_more(clock):
    """Two connections, nothing sent before: two rows."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 12)])
    await lane.committer.commit()
    assert transactions.marks[EXPRESS].horizon == 2
    for _ in range(2):
        lane.call_begins(lane.next_row(EXPRESS))
    assert lane.next_row(EXPRESS) is None
    await lane.committer.commit()
    assert transactions.marks[EXPRESS].horizon == 2 + 2 + 2 * 2


async def test_while_a_commit_is_under_way_its_horizon_does_not_hold_yet(clock):
    """It may fail, and the next owner would then read the horizon of the commit before."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 12)])
    await lane.committer.commit()
    for _ in range(2):
        lane.call_begins(lane.next_row(EXPRESS))
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    commit = asyncio.create_task(lane.committer.commit())
    await asyncio.sleep(0)
    assert lane.next_row(EXPRESS) is None
    transactions.broker_answer.set_result(None)
    await commit
    assert lane.next_row(EXPRESS).event.row == 4


async def test_a_lane_with_work_is_woken_for_its_commit_a_third_of_a_lease_after_the_last(clock):
    """Even if something else has woken it since: another third from then on would be two thirds."""
    lane, _ = make_lane(beginning(), lane_settings(lease_seconds=300), clock=clock)
    admit(lane, accepted(2))
    await lane.committer.commit()
    lane.call_begins(lane.next_row(EXPRESS))
    lane.committer._woken.clear()
    clock.now += 99.99
    assert not lane.committer.is_due()
    async with asyncio.timeout(10):
        await lane.committer.wait_until_due()
    clock.now += 0.01
    assert lane.committer.is_due()


async def test_an_idle_lane_sleeps(clock):
    """It has nothing to send, so it needs no permit."""
    lane, _ = make_lane(beginning(), clock=clock)
    await lane.committer.commit()
    lane.committer._woken.clear()
    clock.now += 1000
    assert not lane.committer.is_due()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lane.committer.wait_until_due(), 0.05)


async def test_a_result_for_a_lane_that_has_ended_changes_nothing(clock):
    """Its rows are looked up by the next owner."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    lane.close()
    finish(lane, row, row.created(1))
    await lane.committer.commit()
    assert transactions.events == []
    assert lane.next_row(EXPRESS) is None


async def test_its_report_counts_rows_and_lag(clock):
    """What an engineer on call looks at."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2), accepted(3))
    await lane.committer.commit()
    lane.call_begins(lane.next_row(EXPRESS))
    report = lane.report({EXPRESS: 10, BULK: 0})
    assert (report.in_flight, report.waiting, report.window_used, report.lag_rows) == (1, 1, 2, 10)
    assert lane.used == 2
    assert lane.has_room(EXPRESS, 9_998)
    assert not lane.has_room(BULK, 9_998), "a tenth is kept for express rows"


async def test_a_lane_that_has_ended_with_a_call_in_flight_reports_no_less_than_nothing(clock):
    """Its rows are dropped before the call ends. A report that is not valid ended the processor."""
    lane, _ = make_lane(beginning(), clock=clock)
    running = asyncio.create_task(lane.run())
    admit(lane, accepted(2))
    await lane.committer.commit()
    lane.call_begins(lane.next_row(EXPRESS))
    lane.close()
    await running
    report = lane.report({})
    assert (report.in_flight, report.waiting) == (1, 0)


@pytest.mark.parametrize("clean", [True, False])
async def test_it_says_that_it_is_being_taken_over_until_its_former_owner_sends_nothing_more(clock, clean):
    """After a hand-over that is from the beginning."""
    lane, _ = make_lane(beginning(), clock=clock, clean=clean)
    assert lane.taking_over is lane.report({}).taking_over is not clean
    clock.now += lane_settings().lease_seconds
    assert lane.taking_over is lane.report({}).taking_over is False
