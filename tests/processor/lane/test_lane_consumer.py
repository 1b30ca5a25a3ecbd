"""The lane consumer: which lane lives, and what follows when one ends."""

import asyncio
from contextlib import suppress

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import RequestTimedOutError

from services.processor.lane.lane_consumer import AssignmentLost, LaneConsumer
from services.processor.lane.ownership import LaneEnd
from services.processor.memory.budget import MemoryBudget
from tests.support.processor.lane_doubles import lane_settings


class ShortLane:
    """A lane that ends when the test says."""

    def __init__(self, partition):
        self.partition = partition
        self.end = None
        self.ending = asyncio.get_running_loop().create_future()

    @property
    def ended(self):
        return self.end is not None

    async def run(self):
        self.end = await self.ending
        return self.end

    def close(self):
        self.end = self.end or LaneEnd.CLOSED

    async def drain(self):
        pass


class PausingConsumer:
    def pause(self, *partitions):
        pass


class Subscriber:
    consumer = PausingConsumer()


@pytest.fixture
async def lane_consumer():
    """A lane consumer that owns lane 0; `made` are its lanes in their order."""
    made = []

    async def take_over(partition, consumer):
        made.append(ShortLane(partition))
        return made[-1]

    lane_consumer = LaneConsumer(lane_settings(session_timeout_ms=1_000), take_over, MemoryBudget(10**9))
    lane_consumer.made = made
    lane_consumer.attach(Subscriber())
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    yield lane_consumer
    for task in list(lane_consumer._tasks):
        task.cancel()


async def run_tasks():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_indefinite_lane_is_taken_over_at_once(lane_consumer):
    """Nobody else owns it."""
    await run_tasks()
    lane_consumer.made[0].ending.set_result(LaneEnd.INDEFINITE)
    await run_tasks()
    assert lane_consumer.lanes[0] is lane_consumer.made[1]


async def test_a_fenced_lane_waits_for_a_session_time_out(lane_consumer):
    """If it is still assigned to us then, we take it over again."""
    await run_tasks()
    lane_consumer.made[0].ending.set_result(LaneEnd.FENCED)
    await run_tasks()
    assert lane_consumer.lanes[0] is lane_consumer.made[0]
    await asyncio.sleep(1.1)
    assert lane_consumer.lanes[0] is lane_consumer.made[1]


async def test_a_fenced_lane_that_went_elsewhere_stays_away(lane_consumer):
    """After the rebalance another processor owns it."""
    await run_tasks()
    lane_consumer.made[0].ending.set_result(LaneEnd.FENCED)
    await run_tasks()
    await lane_consumer.on_partitions_assigned([])
    await asyncio.sleep(1.1)
    assert len(lane_consumer.made) == 1
    assert not lane_consumer.lanes


async def test_a_mistake_in_a_lane_ends_the_lane_consumer(lane_consumer):
    """Otherwise the lane would keep its rows for ever, unnoticed."""
    await run_tasks()
    lane_consumer.made[0].ending.set_exception(KeyError("a mistake of ours"))
    await run_tasks()

    class NeverPolled:
        pass

    with pytest.raises(RuntimeError, match="lane 0 broke"):
        await lane_consumer.run(NeverPolled())


class HandedOverLane(ShortLane):
    """A lane whose hand-over takes as long as the test likes; `calls` are the calls to it, in order."""

    def __init__(self, partition):
        super().__init__(partition)
        self.calls = []
        self.released = asyncio.Event()

    async def drain(self):
        self.calls.append("drain")
        await self.released.wait()
        self.calls.append("released")

    def close(self):
        super().close()
        self.calls.append("close")


@pytest.fixture
async def leaving():
    """A lane consumer that owns lane 0 and has begun to leave; the lane still waits for a call in flight."""
    made = []

    async def take_over(partition, consumer):
        made.append(HandedOverLane(partition))
        return made[-1]

    lane_consumer = LaneConsumer(lane_settings(), take_over, MemoryBudget(10**9))
    lane_consumer.made = made
    lane_consumer.attach(Subscriber())
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    await run_tasks()
    lane_consumer.leaving = asyncio.create_task(lane_consumer.close())
    await run_tasks()
    return lane_consumer


async def test_a_rebalance_while_leaving_does_not_cut_the_hand_over_off(leaving):
    """Otherwise the next owner would have to wait for a lease that nobody holds."""
    rebalance = asyncio.create_task(leaving.on_partitions_revoked([]))
    await run_tasks()
    leaving.made[0].released.set()
    await asyncio.gather(leaving.leaving, rebalance)
    assert leaving.made[0].calls[:3] == ["drain", "released", "close"]


async def test_a_consumer_that_leaves_starts_no_lane_that_a_late_rebalance_assigns(leaving):
    """The consumer ends its rebalance before it leaves the group."""
    leaving.made[0].released.set()
    await leaving.leaving
    await leaving.on_partitions_assigned([TopicPartition("hospital.rows.express", 1)])
    assert not leaving.lanes


@pytest.mark.parametrize(
    "error",
    [RequestTimedOutError(), TimeoutError(), OSError("gone"), AssertionError("Did we not perform bootstrap?")],
    ids=lambda error: type(error).__name__,
)
async def test_a_takeover_that_fails_is_repeated_until_it_succeeds(error):
    """However long Kafka is away; a rebalance that takes the lane away ends it."""
    tries = []

    async def take_over(partition, consumer):
        tries.append(partition)
        if len(tries) < 3:
            raise error
        return ShortLane(partition)

    lane_consumer = LaneConsumer(lane_settings(), take_over, MemoryBudget(10**9), retry_seconds=0.01)
    lane_consumer.attach(Subscriber())
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    async with asyncio.timeout(5):
        while 0 not in lane_consumer.lanes:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert tries == [0, 0, 0]
    await lane_consumer.close()


async def test_a_takeover_under_way_ends_when_a_rebalance_begins():
    """The next owner has to take the lane over anyway."""
    cut_off = []

    async def take_over(partition, consumer):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off.append(partition)
            raise

    lane_consumer = LaneConsumer(lane_settings(), take_over, MemoryBudget(10**9))
    lane_consumer.attach(Subscriber())
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    await run_tasks()
    await lane_consumer.on_partitions_revoked([])
    await run_tasks()
    assert cut_off == [0]


async def test_an_assignment_that_fails_makes_the_consumer_anew(lane_consumer):
    """aiokafka only logs what a rebalance listener raises: the partitions would stay without a lane."""
    await run_tasks()
    lane_consumer.made[0].resume = lambda: 1 / 0
    with suppress(ZeroDivisionError):
        await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    with pytest.raises(AssignmentLost):
        await lane_consumer.run(PausingConsumer())
