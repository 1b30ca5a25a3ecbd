"""What fails alone keeps nobody else waiting: neither through a circuit breaker nor through the turns."""

import asyncio
import time
from contextlib import suppress

import pytest

from services.processor.directory.outcomes import (
    ConnectionFailed,
    Created,
    Listed,
    Listing,
    LookupFailed,
    ServerError,
)
from services.processor.lane.row import State
from services.processor.limits.backoff import Backoff
from shared.contract.events import RowCreated
from tests.support.processor.lane_doubles import accepted, admit, beginning, lane_settings, make_lane, make_row
from tests.support.processor.sending_doubles import FakeDirectory, QueueLane, sending, until

#: A hundredth of the default times.
RECOVERY = 0.6
BACKOFF = Backoff(0.02, 0.1)


class SlowDirectory(FakeDirectory):
    """Takes 2 ms to create a hospital, and `look_up_seconds` to fail at a look-up."""

    def __init__(self, look_up_seconds=0.002):
        super().__init__()
        self.look_up_seconds = look_up_seconds

    async def create(self, event, guard, traceparent=None):
        assert guard()
        await asyncio.sleep(0.002)
        return Created(event.row)

    async def look_up(self, batch_id, guard):
        self.rows.append(batch_id)
        await asyncio.sleep(self.look_up_seconds)
        return LookupFailed("HTTP 500")


def put_in_doubt(lookups, lane, number):
    """A row in doubt of a batch of its own."""
    event = accepted(5000 + number, batch_id=f"batch-{number}")
    lookups.add(lane, make_row(event, state=State.IN_DOUBT), time.monotonic())


async def seconds_for_healthy_rows(directory, doubts, healthy=100):
    """How long they take while so many batches are in doubt."""
    lane = QueueLane()
    async with sending(lane, directory, connections=8, recovery=RECOVERY, backoff=BACKOFF) as running:
        for number in range(doubts):
            put_in_doubt(running.lookups, lane, number)
        for number in range(2, 2 + healthy):
            lane.put(number)
        began = time.monotonic()
        await until(lambda: sum(result.row < 5000 for result in lane.results) == healthy, 6)
        return time.monotonic() - began


@pytest.mark.parametrize("doubts", [1, 5, 100])
async def test_look_ups_that_fail_keep_no_row_waiting(doubts):
    """Of 100 healthy rows none was created in 10 minutes, in default times, beside 100 such batches."""
    alone = await seconds_for_healthy_rows(SlowDirectory(), 0)
    assert await seconds_for_healthy_rows(SlowDirectory(), doubts) < alone + RECOVERY / 2


async def test_look_ups_that_time_out_leave_most_connections_to_rows():
    """The breaker is closed, since others succeed: of 8 connections only 2 repeat what has failed."""
    directory, lane = SlowDirectory(look_up_seconds=0.1), QueueLane()
    async with sending(lane, directory, connections=8, threshold=10_000, backoff=BACKOFF) as running:
        for number in range(100):
            put_in_doubt(running.lookups, lane, number)
        await until(lambda: len(directory.rows) > 100)
        looked_up, began = len(directory.rows), time.monotonic()
        for number in range(2, 302):
            lane.put(number)
        running.sender.notify()
        await until(lambda: len(lane.results) == 300, 6)
        seconds = time.monotonic() - began
    assert len(directory.rows) - looked_up <= 2 * (seconds / 0.1 + 1)


async def test_a_look_up_whose_lane_has_no_lease_is_not_asked_for_without_end():
    """Kafka is away, the breakers have opened: nothing may be sent, and the sender sleeps."""
    lane = QueueLane()
    async with sending(lane, FakeDirectory(*[ConnectionFailed("refused")] * 5), recovery=0.05) as running:
        for number in range(2, 7):
            lane.put(number)
        await until(lambda: len(lane.waits) == 5)
        for rows in lane.rows.values():
            rows.clear()
        asked = 0

        def may_send(_now):
            nonlocal asked
            asked += 1
            return False

        lane.may_send = may_send
        put_in_doubt(running.lookups, lane, 1)
        await asyncio.sleep(0.1)  # the breakers are half-open now
        asked, cpu = 0, time.process_time()
        await asyncio.sleep(1)
        assert asked < 50
        assert time.process_time() - cpu < 0.5


@pytest.mark.parametrize("broken", [30, 100])
async def test_rows_that_always_get_500_do_not_stand_before_healthy_ones(broken):
    """In the order of the topic healthy ones came after 19 recovery times. Elsewhere in it they are soon found."""
    healthy = 30
    settings = lane_settings(hospital_api_max_connections=8, lease_seconds=30, commit_interval_ms=10)
    held, started = [], []

    class Directory:
        async def create(self, event, guard, traceparent=None):
            assert guard()
            await asyncio.sleep(0.001)
            if event.row < 2 + broken:
                return ServerError("a mistake in the directory")
            held.append(Listing(event.row, event.name, event.address, event.phone))
            return Created(event.row)

        async def look_up(self, batch_id, guard):
            await asyncio.sleep(0.001)
            return Listed(tuple(held))

    lane, transactions = make_lane(
        beginning(),
        settings,
        on_doubt=lambda row, at: running.lookups.add(lane, row, at),
        notify=lambda: [each.sender.notify() for each in started],
    )

    def created():
        return sum(isinstance(event, RowCreated) for event in transactions.events)

    async with sending(lane, Directory(), connections=8, recovery=RECOVERY, backoff=BACKOFF) as running:
        started.append(running)
        admit(lane, *[accepted(row) for row in range(2, 2 + broken + healthy)])
        committing = asyncio.create_task(lane.run())
        with suppress(TimeoutError):
            await until(lambda: created() == healthy, 4 * RECOVERY)
        lane.close()
        await committing
    assert created() == healthy
