"""What is called next, with fakes for all that is brought together."""

import asyncio
import time

import pytest

from services.processor.directory.outcomes import (
    Created,
    LookupFailed,
    Rejected,
    ServerError,
    Throttled,
    Unanswered,
)
from services.processor.lane.row import State
from services.processor.limits.circuit_breakers import CallKind
from shared.contract.events import BreakerState, RowCreated, RowFailed
from tests.support.processor.lane_doubles import accepted, make_row
from tests.support.processor.sending_doubles import TOPICS, FakeDirectory, QueueLane, sending, until


async def test_express_goes_first_and_bulk_is_never_starved():
    """Every fifth choice is for bulk."""
    lane, directory = QueueLane(), FakeDirectory()
    for number in range(2, 12):
        lane.put(number)
        lane.put(number + 100, bulk=True)
    async with sending(lane, directory):
        await until(lambda: len(directory.rows) == 20)
    first = directory.rows[:10]
    assert sum(row > 100 for row in first) == 2
    assert len(lane.results) == 20


async def test_nothing_is_sent_while_paused():
    """As during maintenance of the directory."""
    lane, directory = QueueLane(), FakeDirectory()
    async with sending(lane, directory) as running:
        running.job_commands.may_send = False
        lane.put(2)
        running.sender.notify()
        await asyncio.sleep(0.03)
        assert directory.rows == []
        running.job_commands.may_send = True
        running.sender.notify()
        await until(lambda: directory.rows == [2])


async def test_each_outcome_has_its_consequence():
    """Created and Rejected finish, 500 is looked up at once, a time-out after the settle time, 429 is retried."""
    lane = QueueLane()
    rows = [lane.put(number) for number in range(2, 7)]
    directory = FakeDirectory(
        Created(7, echoed=False), Rejected(422, "no"), ServerError("boom"), Unanswered("time-out"), Throttled(None)
    )
    async with sending(lane, directory) as running:
        await until(lambda: len(directory.rows) == 5 and lane.in_flight == 0)
        silence = running.rate_limit.retry_after_seconds
        assert running.lookups.rewrites("batch")
    assert lane.skipped == [TOPICS.rows_express]
    assert [type(result) for result in lane.results] == [RowCreated, RowFailed]
    (at_once, early), (settled, late) = lane.doubts
    assert (at_once, settled) == (rows[2], rows[3])
    assert late - early >= 2 + 30 - 1
    assert lane.waits == [(rows[4], 0.0)]
    assert 0 < silence <= 0.1


async def test_the_settle_time_counts_from_the_first_byte_not_from_the_choice():
    """A connection may have taken most of the time-out. A look-up that came too early made a hospital twice."""
    lane, first_bytes = QueueLane(), []
    lane.put(2)

    class SlowToConnect(FakeDirectory):
        async def create(self, event, guard, traceparent=None):
            await asyncio.sleep(0.3)
            first_bytes.append(time.monotonic())
            return await super().create(event, guard)

    async with sending(lane, directory := SlowToConnect(Unanswered("time-out"))):
        await until(lambda: directory.rows == [2] and lane.in_flight == 0)
    [(_, look_up_at)] = lane.doubts
    assert look_up_at >= first_bytes[0] + 2 + 30


async def test_a_503_that_names_a_time_is_obeyed_like_a_429():
    """Its row is in doubt all the same."""
    lane, directory = QueueLane(), FakeDirectory(Unanswered("maintenance", 503, 60.0))
    lane.put(2)
    async with sending(lane, directory) as running:
        await until(lambda: directory.rows == [2] and lane.in_flight == 0)
        assert 59 < running.rate_limit.retry_after_seconds <= 60
    assert len(lane.doubts) == 1


async def test_an_outcome_for_a_lane_that_has_ended_is_left_to_the_next_owner():
    """Its outcome changes nothing any more, but the call is counted as ended."""
    lane = QueueLane()
    lane.put(2)

    class Closing(FakeDirectory):
        async def create(self, event, guard, traceparent=None):
            lane.ended = True
            return await super().create(event, guard)

    async with sending(lane, directory := Closing()):
        await until(lambda: directory.rows == [2] and lane.in_flight == 0)
    assert lane.results == []


async def test_the_probe_is_the_row_with_the_fewest_failures():
    """Rows that fail because of what they are must not keep the breaker open for all others."""
    lane, directory = QueueLane(), FakeDirectory(*[Unanswered("down")] * 5)
    for number in range(2, 6):
        lane.put(number)
    lane.put(6, bulk=True)
    lane.put(7, backoff_count=3)
    lane.put(8, bulk=True)
    async with sending(lane, directory):
        await until(lambda: len(directory.rows) == 7)
    assert directory.rows[5:] == [8, 7]


async def test_only_a_probe_goes_when_the_breaker_opened_while_a_slot_was_waited_for():
    """A call that passed the breaker and then waited for Retry-After has to pass the breaker again."""
    lane, states = QueueLane(), []

    class Watching(FakeDirectory):
        async def create(self, event, guard, traceparent=None):
            states.append(running.breakers.state)
            await asyncio.sleep(0.01 * min(len(states), 5))  # one after the other: the first asks for silence
            return await super().create(event, guard)

    for number in range(2, 12):
        lane.put(number)
    async with sending(lane, Watching(*[Unanswered("down", 503, 0.2)] * 5), connections=5) as running:
        await until(lambda: len(lane.results) == 5)
    assert states == [BreakerState.CLOSED] * 5 + [BreakerState.HALF_OPEN] + [BreakerState.CLOSED] * 4


async def test_a_batch_whose_look_up_always_fails_keeps_no_breaker_open():
    """Its look-ups go on meanwhile; after the recovery time all rows that never failed are created."""
    lane, directory = QueueLane(), FakeDirectory(*[Unanswered("down")] * 5)
    directory.listed = LookupFailed("no answer within 10 s")
    for number in range(2, 7):
        lane.put(number)
    async with sending(lane, directory) as running:
        await until(lambda: running.breakers.state is not BreakerState.CLOSED)
        running.lookups.add(lane, make_row(accepted(9), state=State.IN_DOUBT), 0.0)
        for number in range(10, 30):
            lane.put(number)
        await until(lambda: len(lane.results) == 20)
        await until(lambda: directory.rows.count("batch") > 5)
        assert not running.breakers.is_half_open(CallKind.LOOK_UP), "one batch alone opens nothing"
    assert directory.rows[5] == "batch"
    assert [row for row in directory.rows[5:] if row != "batch"] == list(range(10, 30))


async def test_a_mistake_in_a_call_ends_the_sender():
    """Otherwise its row would stay in flight for ever, unnoticed."""
    lane = QueueLane()
    lane.put(2)
    async with sending(lane, FakeDirectory(KeyError("a mistake of ours"))) as running:
        done, _ = await asyncio.wait([running.task], timeout=1)
        assert done
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            running.task.result()
    assert lane.in_flight == 0
