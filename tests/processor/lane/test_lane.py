"""A lane by itself: what it may send, what it commits, and what a hand-over promises."""

import asyncio

import pytest

from services.processor.job_commands import JobCommands
from services.processor.lane.lane import LaneEnd
from services.processor.lane.row import State
from services.processor.lane.transactions import LaneFenced
from services.processor.offsets.watermark import Watermark
from shared.contract.events import JobCancelRequested, RowUnprocessed
from shared.runtime.fenced_transactions import CommitIndefinite
from tests.support.processor.lane_doubles import (
    Clock,
    accepted,
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


def admit(lane, *events, topic=EXPRESS, start=0):
    lane.admit(topic, [record(event, start + n, topic) for n, event in enumerate(events)], start + len(events))


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


async def test_a_new_owner_waits_for_the_lease_of_one_that_did_not_hand_over(clock):
    """The former owner may be frozen, and send when it thaws."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning(), clean=False)
    admit(lane, accepted(2))
    await lane._commit()
    assert not lane.owns_slots
    clock.now += 3.9
    await lane._commit()
    assert lane.next_row(EXPRESS) is None
    clock.now += 0.1
    assert lane.next_row(EXPRESS) is not None
    assert lane.owns_slots


@pytest.mark.parametrize(
    ("clean", "unowned", "seconds"), [(False, False, 4 + 2 + 3), (True, False, 2 + 3), (True, True, 0)]
)
async def test_rows_in_doubt_are_looked_up_when_the_former_owners_calls_cannot_create_any_more(
    clock, clean, unowned, seconds
):
    """Lease, time-out and settle time after fencing; after a clean hand-over no lease; without any commit at once."""
    doubts = {}
    lane = make_lane(on_doubt=doubts.__setitem__, clock=clock)
    marks = beginning() | {EXPRESS: Watermark(0, 2, 2, 0b10)}
    start_lane(lane, marks, clean=clean, unowned=unowned)
    admit(lane, accepted(2), accepted(3), accepted(4))
    assert {row.event.row: at - clock.now for row, at in doubts.items()} == {2: seconds}


async def test_a_hand_over_says_released_and_the_permit_ends_with_it(clock):
    """The next owner sends at once, so nothing may be sent after that commit, even if the lane stays here."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in range(2, 8)])
    await lane._commit()
    await lane.drain()
    assert all(mark.released for mark in transactions.marks.values())
    lane.resume()
    assert lane.next_row(EXPRESS) is None
    assert lane._something_to_commit(), "it must say that it is back before it sends"
    await lane._commit()
    assert not any(mark.released for mark in transactions.marks.values())
    assert lane.next_row(EXPRESS) is not None


async def test_a_row_below_a_released_horizon_is_not_sent_before_the_next_commit(clock):
    """A row in doubt behind it keeps the horizon above it, but `released` has said that nothing will be sent."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in range(2, 6)])
    await lane._commit()
    first = lane.next_row(EXPRESS)
    lane.call_begins(first)
    second = lane.next_row(EXPRESS)
    lane.call_begins(second)
    lane.put_in_doubt(second, 0.0)
    lane.retry(first, 0.0)
    lane.call_ended()
    lane.call_ended()
    await lane.drain()
    lane.resume()
    assert not lane.permits(first)


async def test_a_hand_over_within_the_former_owners_lease_is_not_clean(clock):
    """The former owner may still send, so the next owner has to wait for its lease as well."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning(), clean=False)
    await lane.drain()
    assert not any(mark.released for mark in transactions.marks.values())
    lane.resume()
    clock.now += 4
    await lane.drain()
    assert all(mark.released for mark in transactions.marks.values())


async def test_a_draining_lane_has_no_slots(clock):
    """In a rebalance the slots may be about to get another owner."""
    lane = make_lane(clock=clock)
    start_lane(lane, beginning())
    assert lane.owns_slots
    await lane.drain()
    assert not lane.owns_slots
    lane.resume()
    assert lane.owns_slots


async def test_a_round_that_waits_behind_a_doubt_stays_in_doubt_over_a_hand_over(clock):
    """The former owner may have sent it, and nobody has looked yet."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning() | {EXPRESS: Watermark(0, 2)})
    admit(lane, accepted(2), accepted(2, round=2))
    await lane.drain()
    assert transactions.marks[EXPRESS].horizon == 2


async def test_a_retried_row_waits_for_the_former_owners_last_call(clock):
    """It may have sent an earlier round of the row just before."""
    doubts = {}
    lane = make_lane(on_doubt=doubts.__setitem__, clock=clock)
    start_lane(lane, beginning(), clean=False)
    admit(lane, accepted(2, round=2))
    assert [at - clock.now for at in doubts.values()] == [4 + 2 + 3]


async def test_a_later_round_takes_the_place_of_one_that_waits(clock):
    """The earlier has a result of its own; the later is looked up first."""
    doubts = {}
    lane = make_lane(on_doubt=doubts.__setitem__, clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, accepted(2), accepted(2, round=2))
    await lane._commit()
    assert [(type(event), event.round) for event in transactions.events] == [(RowUnprocessed, 1)]
    assert [row.event.round for row in doubts] == [2]


async def test_an_earlier_round_that_comes_later_is_unprocessed(clock):
    """A cancelled round behind the window, reached after its retry came on the other topic."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, accepted(2, round=2))
    admit(lane, accepted(2, round=1), topic=BULK)
    await lane._commit()
    assert [(type(event), event.round) for event in transactions.events] == [(RowUnprocessed, 1)]
    assert [row.event.round for row in lane.unfinished_rows()] == [2]


async def test_a_later_round_waits_for_a_call_in_flight(clock):
    """Two calls for one hospital at a time would create it twice."""
    doubts = {}
    lane = make_lane(on_doubt=doubts.__setitem__, clock=clock)
    start_lane(lane, beginning())
    admit(lane, accepted(2))
    await lane._commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    admit(lane, accepted(2, round=2), start=1)
    admit(lane, accepted(2, round=3), start=2)
    assert row.latest.event.round == 3
    assert row.successor.state is State.BLOCKED
    lane.finish(row, row.created(7))
    lane.call_ended()
    assert [each.event.round for each in doubts] == [2]
    lane.retry(row.successor, 0.0)
    assert [each.event.round for each in doubts] == [2, 3], "the second round was superseded by the third"


async def test_the_same_row_twice_is_one_row(clock):
    """One call, one result."""
    lane = make_lane(clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, accepted(2), accepted(2))
    await lane._commit()
    row = lane.next_row(EXPRESS)
    lane.finish(row, row.created(1))
    await lane._commit()
    assert len(transactions.events) == 1
    assert transactions.marks[EXPRESS].offset == 2


async def test_cancelled_rows_need_no_call(clock):
    """Neither waiting rows, nor rows delivered later, nor rows that come back from a call; other jobs go on."""
    job_commands = JobCommands(lambda jobs: [lane.cancel(job) for job in jobs], lambda: None)
    lane = make_lane(job_commands=job_commands, clock=clock)
    transactions = start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in (2, 3, 4)], accepted(2, job_id="other"))
    await lane._commit()
    first = lane.next_row(EXPRESS)
    lane.call_begins(first)
    job_commands.caught_up()
    job_commands.apply([record(JobCancelRequested(tenant="public", job_id="job"), 0)])
    admit(lane, accepted(5), start=4)
    lane.retry(first, 1.0)
    lane.call_ended()
    await lane._commit()
    assert sorted((event.row, type(event)) for event in transactions.events) == [
        (row, RowUnprocessed) for row in (2, 3, 4, 5)
    ]
    assert lane.next_row(EXPRESS).event.job_id == "other"


async def test_after_many_cancelled_rows_the_next_one_is_permitted_soon(clock):
    """The horizon has to be computed from rows that are still to be sent."""
    job_commands = JobCommands(lambda jobs: [lane.cancel(job) for job in jobs], lambda: None)
    lane = make_lane(job_commands=job_commands, clock=clock)
    start_lane(lane, beginning())
    admit(lane, *[accepted(row) for row in range(2, 102)], accepted(2, job_id="other"))
    await lane._commit()
    job_commands.caught_up()
    job_commands.apply([record(JobCancelRequested(tenant="public", job_id="job"), 0)])
    await lane._commit()
    assert lane.next_row(EXPRESS) is not None


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


@pytest.mark.parametrize(("error", "end"), [(LaneFenced, LaneEnd.FENCED), (CommitIndefinite, LaneEnd.INDEFINITE)])
async def test_a_lane_whose_hand_over_fails_has_ended(clock, error, end):
    """Fenced: discarded. Indefinite: taken over again."""

    async def fail(_records, _marks):
        raise error("as the broker wants it")

    lane = make_lane(clock=clock)
    start_lane(lane, beginning()).commit = fail
    await lane.drain()
    assert lane.end is end
    await lane.drain()
    lane.resume()
    assert not lane.may_send(clock.now)


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
