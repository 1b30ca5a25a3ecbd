"""A lane that gets a new owner: what a hand-over promises, and how long the new owner waits without one."""

import asyncio

import pytest

from services.processor.lane.ownership import LaneEnd
from services.processor.lane.transactions import LaneFenced
from services.processor.offsets.watermark import Watermark
from shared.runtime.kafka.fenced_transactions import CommitIndefinite
from tests.support.processor.lane_doubles import (
    Clock,
    accepted,
    admit,
    beginning,
    finish,
    make_lane,
    put_in_doubt,
    retry,
)

EXPRESS = "hospital.rows.express"


@pytest.fixture
def clock():
    """The lane's time."""
    return Clock()


async def test_a_new_owner_waits_for_the_lease_of_one_that_did_not_hand_over(clock):
    """The former owner may be frozen, and send when it thaws."""
    lane, _ = make_lane(beginning(), clock=clock, clean=False)
    admit(lane, accepted(2))
    await lane.committer.commit()
    clock.now += 3.9
    await lane.committer.commit()
    assert lane.next_row(EXPRESS) is None
    clock.now += 0.1
    assert lane.next_row(EXPRESS) is not None


@pytest.mark.parametrize(
    ("clean", "unowned", "seconds"), [(False, False, 4 + 2 + 3), (True, False, 2 + 3), (True, True, 0)]
)
async def test_rows_in_doubt_are_looked_up_when_the_former_owners_calls_cannot_create_any_more(
    clock, clean, unowned, seconds
):
    """Lease, time-out and settle time after fencing; after a clean hand-over no lease; without any commit at once."""
    doubts = {}
    marks = beginning() | {EXPRESS: Watermark(0, 2, 2, 0b10)}
    lane, _ = make_lane(marks, on_doubt=doubts.__setitem__, clock=clock, clean=clean, unowned=unowned)
    admit(lane, accepted(2), accepted(3), accepted(4))
    assert {row.event.row: at - clock.now for row, at in doubts.items()} == {2: seconds}


async def test_a_hand_over_says_released_and_the_permit_ends_with_it(clock):
    """The next owner sends at once, so nothing may be sent after that commit."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 8)])
    await lane.committer.commit()
    await lane.hand_over()
    assert all(mark.released for mark in transactions.marks.values())
    assert lane.next_row(EXPRESS) is None
    assert not lane.committer.is_due(), "a commit without `released` would make the next owner wait for a lease"


async def test_a_row_below_a_released_horizon_is_not_sent(clock):
    """A row in doubt behind it keeps the horizon above it, but `released` has said that nothing will be sent."""
    lane, _ = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 6)])
    await lane.committer.commit()
    first = lane.next_row(EXPRESS)
    lane.call_begins(first)
    second = lane.next_row(EXPRESS)
    lane.call_begins(second)
    put_in_doubt(lane, second, 0.0)
    retry(lane, first, 0.0)
    lane.call_ended()
    lane.call_ended()
    await lane.hand_over()
    assert not lane.permits(first)


@pytest.mark.parametrize(("waited", "released"), [(3.9, False), (4, True)])
async def test_a_hand_over_within_the_former_owners_lease_is_not_clean(clock, waited, released):
    """The former owner may still send, so the next owner has to wait for its lease as well."""
    lane, transactions = make_lane(beginning(), clock=clock, clean=False)
    clock.now += waited
    assert await lane.hand_over(seconds=60) is released
    assert {mark.released for mark in transactions.marks.values()} == {released}


async def test_a_lane_that_leaves_begins_a_call_a_second_until_there_is_a_moment_without(clock):
    """Without any call it would stand still for as long as its slowest call."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 8)])
    await lane.committer.commit()
    slow = call_begins(lane)
    leaving = asyncio.create_task(lane.hand_over(seconds=60))
    await asyncio.sleep(0)
    for _ in range(3):
        assert lane.next_row(EXPRESS) is None
        clock.now += 1
        row = call_begins(lane)
        clock.now += 0.3
        assert lane.permits(row), "its call has begun"
        end_call(lane, row)
        await lane.committer.commit()
    assert not leaving.done()
    assert lane.may_send(clock.now)
    end_call(lane, slow)
    await leaving
    assert all(mark.released for mark in transactions.marks.values())
    assert transactions.marks[EXPRESS].offset == 4
    clock.now += 1
    assert lane.next_row(EXPRESS) is None


async def test_a_lane_that_leaves_begins_no_calls_for_ever(clock):
    """Where each call takes long there is no moment without one."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 8)])
    await lane.committer.commit()
    slow = call_begins(lane)
    leaving = asyncio.create_task(lane.hand_over(seconds=0.01))
    await asyncio.sleep(0.1)
    clock.now += 1
    assert lane.next_row(EXPRESS) is None
    assert not lane.may_send(clock.now)
    end_call(lane, slow)
    await leaving
    assert all(mark.released for mark in transactions.marks.values())


async def test_a_lane_that_leaves_can_be_told_to_begin_no_more_calls(clock):
    """The processor's consumer is made anew."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, *[accepted(row) for row in range(2, 8)])
    await lane.committer.commit()
    slow = call_begins(lane)
    leaving = asyncio.create_task(lane.hand_over(seconds=60))
    await asyncio.sleep(0)
    lane.hold()
    clock.now += 1
    assert lane.next_row(EXPRESS) is None
    end_call(lane, slow)
    await leaving
    assert all(mark.released for mark in transactions.marks.values())


def call_begins(lane):
    """A call begins for the next row."""
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    return row


def end_call(lane, row):
    """The directory has created the row."""
    finish(lane, row, row.created(4711))
    lane.call_ended()


async def test_a_round_that_waits_behind_a_doubt_stays_in_doubt_over_a_hand_over(clock):
    """The former owner may have sent it, and nobody has looked yet."""
    lane, transactions = make_lane(beginning() | {EXPRESS: Watermark(0, 2)}, clock=clock)
    admit(lane, accepted(2), accepted(2, round=2))
    await lane.hand_over()
    assert transactions.marks[EXPRESS].horizon == 2


async def test_a_retried_row_waits_for_the_former_owners_last_call(clock):
    """It may have sent an earlier round of the row just before."""
    doubts = {}
    lane, _ = make_lane(beginning(), on_doubt=doubts.__setitem__, clock=clock, clean=False)
    admit(lane, accepted(2, round=2))
    assert [at - clock.now for at in doubts.values()] == [4 + 2 + 3]


async def test_a_hand_over_that_is_cut_off_in_its_commit_ends_the_lane(clock):
    """The results that it has taken are in no other place: going on would commit the offsets past them."""
    lane, transactions = make_lane(beginning(), clock=clock)
    admit(lane, accepted(2))
    await lane.committer.commit()
    row = lane.next_row(EXPRESS)
    lane.call_begins(row)
    leaving = asyncio.create_task(lane.hand_over())
    await asyncio.sleep(0)
    transactions.broker_answer = asyncio.get_running_loop().create_future()  # Kafka is slow
    finish(lane, row, row.created(4711))
    lane.call_ended()
    await asyncio.sleep(0.01)
    assert transactions.offered is not None
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert lane.end is LaneEnd.INDEFINITE
    transactions.broker_answer = None  # and well again
    await lane.committer.commit()
    assert transactions.marks[EXPRESS].offset == 0, "the row is done, and its result was never written"


@pytest.mark.parametrize("error", [KeyError("a mistake of ours"), AssertionError(), ValueError()])
async def test_whatever_a_commit_raises_ends_the_lane(clock, error):
    """aiokafka asserts, too."""
    lane, transactions = make_lane(beginning(), clock=clock)
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    transactions.broker_answer.set_exception(error)
    with pytest.raises(type(error)):
        await lane.hand_over()
    assert lane.end is LaneEnd.INDEFINITE


@pytest.mark.parametrize(("error", "end"), [(LaneFenced, LaneEnd.FENCED), (CommitIndefinite, LaneEnd.INDEFINITE)])
async def test_a_lane_whose_hand_over_fails_has_ended(clock, error, end):
    """Fenced: discarded. Indefinite: taken over again."""
    lane, transactions = make_lane(beginning(), clock=clock)
    transactions.broker_answer = asyncio.get_running_loop().create_future()
    transactions.broker_answer.set_exception(error("as the broker wants it"))
    await lane.hand_over()
    assert lane.end is end
    await lane.hand_over()
    assert not lane.may_send(clock.now)
