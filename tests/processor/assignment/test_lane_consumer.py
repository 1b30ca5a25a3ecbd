"""The lane consumer: which lane lives, and what follows when one ends."""

import asyncio
import json
from contextlib import suppress
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import RequestTimedOutError

from services.processor.assignment.lane_consumer import AssignmentLost, LaneConsumer
from services.processor.lane.ownership import LaneEnd
from services.processor.lane.takeover import OffsetsForgotten
from services.processor.memory.budget import MemoryBudget
from tests.support.processor.lane_doubles import lane_settings


class ShortLane:
    """A lane that ends when the test says."""

    taking_over = False

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

    def stay(self):
        pass

    async def hand_over(self, seconds=0.0):
        return True


class PausingConsumer:
    def __init__(self):
        self._coordinator = SimpleNamespace(generation=1)
        self.positions = {}

    def pause(self, *partitions):
        pass

    def seek(self, partition, offset):
        self.positions[partition] = offset


class Subscriber:
    def __init__(self):
        self.consumer = PausingConsumer()


def consumer_of(lane_type):
    """A lane consumer without lanes; `made` are those that it takes over, in their order."""
    made = []

    async def take_over(partition, consumer):
        made.append(lane_type(partition))
        return made[-1]

    lane_consumer = LaneConsumer(lane_settings(session_timeout_ms=1_000), take_over, MemoryBudget(10**9))
    lane_consumer.made = made
    lane_consumer.attach(Subscriber())
    return lane_consumer


@pytest.fixture
async def lane_consumer():
    """A lane consumer that owns lane 0; `made` are its lanes in their order."""
    lane_consumer = consumer_of(ShortLane)
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    yield lane_consumer
    for task in list(lane_consumer._tasks):
        task.cancel()


async def run_tasks():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [None, OffsetsForgotten("say where"), RequestTimedOutError()])
async def test_a_lane_that_is_not_taken_over_yet_does_not_ask_kafka_for_offsets_at_every_poll(lane_consumer, error):
    """aiokafka does so, as fast as Kafka answers, for each partition without a position. Then no lane can read."""

    async def take_over(partition, consumer):
        if error is not None:
            raise error
        await asyncio.Event().wait()

    await run_tasks()
    lane_consumer._take_over = take_over
    assigned = [TopicPartition(topic, lane) for topic in ("rows", "jobs") for lane in (0, 1)]
    for _ in range(2):  # a rebalance takes the positions away
        lane_consumer._subscriber.consumer = consumer = PausingConsumer()
        await lane_consumer.on_partitions_assigned(assigned)
        await run_tasks()
        # Lane 0 stays: it seeks where it stands.
        assert consumer.positions == {TopicPartition("rows", 1): 0, TopicPartition("jobs", 1): 0}


async def test_a_lane_is_being_taken_over_until_its_former_owner_sends_nothing_more(lane_consumer):
    """While it is read and fenced, also when that fails and comes again; then for the former owner's lease."""
    await run_tasks()
    assert lane_consumer.being_taken_over() == set()
    takeover = asyncio.get_running_loop().create_future()

    async def take_over(partition, consumer):
        await takeover
        return ShortLane(partition)

    lane_consumer._take_over, lane_consumer._retry_seconds = take_over, 0.01
    await rebalance(lane_consumer, 0, 1)
    await run_tasks()
    assert lane_consumer.being_taken_over() == {1}
    failed, takeover = takeover, asyncio.get_running_loop().create_future()
    failed.set_exception(RequestTimedOutError())
    await run_tasks()
    assert lane_consumer.being_taken_over() == {1}
    await asyncio.sleep(0.05)
    takeover.set_result(None)
    await run_tasks()
    lane_consumer.lanes[1].taking_over = True
    assert lane_consumer.being_taken_over() == {1}
    lane_consumer.lanes[1].taking_over = False
    assert lane_consumer.being_taken_over() == set()


async def test_a_lane_whose_takeover_is_not_awaited_any_more_is_not_being_taken_over(lane_consumer):
    """It went elsewhere, or has stopped, or another processor has fenced it and sends."""

    async def take_over(partition, consumer):
        if partition == 2:
            raise OffsetsForgotten("say where")
        await asyncio.Event().wait()

    await run_tasks()
    lane_consumer._take_over = take_over
    await rebalance(lane_consumer, 0, 1, 2)
    await run_tasks()
    assert lane_consumer.being_taken_over() == {1}
    await rebalance(lane_consumer, 0)
    await run_tasks()
    assert lane_consumer.being_taken_over() == set()
    lane_consumer.made[0].ending.set_result(LaneEnd.FENCED)
    await run_tasks()
    assert lane_consumer.being_taken_over() == set()


async def test_a_stopped_lane_says_why(lane_consumer):
    """Readiness shows it, until an operator has set the offsets."""

    async def forgotten(partition, consumer):
        raise OffsetsForgotten("say where")

    lane_consumer._take_over = forgotten
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 1)])
    await run_tasks()
    with pytest.raises(RuntimeError, match="say where"):
        await lane_consumer.check_lanes()


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
        self.is_released = True

    def stay(self):
        self.calls.append("stay")

    def hold(self):
        self.calls.append("hold")

    async def hand_over(self, seconds=0.0):
        self.calls.append(f"hand over in {seconds:g} s")
        await self.released.wait()
        self.calls.append("released")
        return self.is_released

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
    assert leaving.made[0].calls[:3] == ["hand over in 0 s", "released", "close"]


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


async def test_a_takeover_that_is_cut_off_may_end_after_the_next_has_begun():
    """It lets go of its producer, which takes seconds when Kafka is busy."""
    begun = []

    async def take_over(partition, consumer):
        ending = asyncio.Event()
        begun.append(ending)
        if len(begun) == 2:
            await ending.wait()
            return ShortLane(partition)
        try:
            await asyncio.Event().wait()
        finally:
            await ending.wait()

    lane_consumer = LaneConsumer(lane_settings(), take_over, MemoryBudget(10**9), takeover_seconds=0.01)
    lane_consumer.attach(Subscriber())
    await rebalance(lane_consumer, 0)
    await run_tasks()
    await rebalance(lane_consumer, 0)
    await run_tasks()
    for ending in begun:
        ending.set()
        await run_tasks()
    assert [lane.partition for lane in lane_consumer.running_lanes()] == [0]
    assert lane_consumer._failure is None
    await lane_consumer.close()


async def test_an_assignment_that_fails_makes_the_consumer_anew(lane_consumer):
    """aiokafka only logs what a rebalance listener raises: the partitions would stay without a lane."""
    await run_tasks()
    lane_consumer.made[0].stay = lambda: 1 / 0
    with suppress(ZeroDivisionError):
        await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", 0)])
    with pytest.raises(AssignmentLost):
        await lane_consumer.run(PausingConsumer())


class GroupOfOne:
    """A consumer that joins its group again when it is asked to; `lanes` are what the group gives it then."""

    def __init__(self, lane_consumer, lanes=None):
        self._coordinator, self.generation = self, 1
        self._lane_consumer, self._lanes = lane_consumer, lanes
        self.says = []

    def assignment(self):
        return set()

    paused = assignment

    def pause(self, *partitions):
        pass

    async def getmany(self, **_options):
        await asyncio.Event().wait()

    def request_rejoin(self):
        self.says.append(json.loads(self._lane_consumer._sharing.metadata(["rows"]).user_data))
        if self._lanes is not None:
            self._lane_consumer._sharing.on_assignment(SimpleNamespace(user_data=None))
            self.joining = asyncio.create_task(rebalance(self._lane_consumer, *self._lanes))


async def rebalance(lane_consumer, *lanes):
    await lane_consumer.on_partitions_revoked([])
    await lane_consumer.on_partitions_assigned([TopicPartition("hospital.rows.express", lane) for lane in lanes])


@pytest.fixture
async def owner():
    """A lane consumer that owns lanes 0 and 1."""
    lane_consumer = consumer_of(HandedOverLane)
    await rebalance(lane_consumer, 0, 1)
    await run_tasks()
    yield lane_consumer
    for lane in lane_consumer.made:
        lane.released.set()
    await lane_consumer.close()


async def test_lanes_that_stay_go_on_while_the_group_rebalances(owner):
    """Any processor that comes or goes makes all of them join again: their calls have nothing to do with it."""
    await owner.on_partitions_revoked([])
    assert [lane.partition for lane in owner.running_lanes()] == [0, 1]
    await owner.on_partitions_assigned([TopicPartition("hospital.rows.express", lane) for lane in (0, 1)])
    assert [lane.calls for lane in owner.made] == [["stay"], ["stay"]]


async def test_a_lane_that_goes_elsewhere_is_handed_over_in_the_background(owner):
    """Its slow calls keep the heartbeat waiting as little as the other lanes; it sends and commits until it is over."""
    await rebalance(owner, 0)
    await run_tasks()
    assert owner.made[1].calls == ["hand over in 4 s"]
    assert owner.made[1] in owner.running_lanes()
    owner.made[1].released.set()
    await run_tasks()
    assert owner.made[1].calls[1:] == ["released", "close"]
    assert owner.running_lanes() == [owner.made[0]]


async def test_a_lane_that_could_not_be_released_is_not_waited_for_any_longer(owner):
    """Its commit failed, or a former owner's lease still runs: the group hears that nobody holds it."""
    await rebalance(owner, 0)
    await run_tasks()
    owner._subscriber.consumer = group = GroupOfOne(owner, lanes=(0,))
    owner.made[1].is_released = False
    owner.made[1].released.set()
    await run_tasks()
    assert [says["holds"] for says in group.says] == [[0]]


async def test_a_lane_that_comes_back_is_taken_over_when_it_has_been_handed_over(owner):
    """It would fence itself, and leave its calls in doubt."""
    await rebalance(owner, 0)
    await rebalance(owner, 0, 1)
    await run_tasks()
    assert len(owner.made) == 2
    owner.made[1].released.set()
    await run_tasks()
    assert [lane.partition for lane in owner.made] == [0, 1, 1]


async def test_who_was_thrown_out_of_the_group_lets_its_lanes_go(owner):
    """Others may have them since, and nobody is to wait for us; what we get again is taken over anew."""
    owner._subscriber = Subscriber()
    owner._subscriber.consumer._coordinator.generation = -1
    await owner.on_partitions_revoked([])
    assert json.loads(owner._sharing.metadata(["rows"]).user_data) == {"wants": [], "holds": [], "leaves": False}
    await owner.on_partitions_assigned([TopicPartition("hospital.rows.express", 1)])
    await run_tasks()
    assert [lane.calls for lane in owner.made] == [["hand over in 0 s"]] * 2
    for lane in owner.made:
        lane.released.set()
    await run_tasks()
    assert [lane.partition for lane in owner.made] == [0, 1, 1]


async def test_a_lane_that_another_processor_hands_over_is_waited_for():
    """Taken over at once it would leave the calls of a healthy owner in doubt. Others are not waited for."""
    asked, taken_over = [], []
    released = asyncio.Event()

    async def release(partition):
        asked.append(partition)
        await released.wait()

    async def take_over(partition, consumer):
        taken_over.append(partition)
        return ShortLane(partition)

    lane_consumer = LaneConsumer(lane_settings(), take_over, MemoryBudget(10**9), release=release)
    lane_consumer._sharing.awaited = frozenset({1})
    lane_consumer.attach(Subscriber())
    await rebalance(lane_consumer, 0, 1)
    await run_tasks()
    assert (asked, taken_over) == ([1], [0])
    released.set()
    await run_tasks()
    assert taken_over == [0, 1]
    lane_consumer.lanes[1].ending.set_result(LaneEnd.INDEFINITE)
    await run_tasks()
    assert (asked, taken_over) == ([1], [0, 1, 1]), "now it is our own commits that do not say `released`"
    await lane_consumer.close()


async def test_who_stops_gives_its_lanes_to_the_others_before_it_leaves(owner):
    """They go on until somebody waits for them."""
    group = GroupOfOne(owner, lanes=())
    running = asyncio.create_task(owner.run(group))
    await run_tasks()
    running.cancel()
    await run_tasks()
    assert group.says == [{"wants": [0, 1], "holds": [0, 1], "leaves": True}]
    assert [lane.calls for lane in owner.made] == [["hand over in 4 s"], ["hand over in 4 s"]]
    assert not running.done()
    for lane in owner.made:
        lane.released.set()
    await asyncio.wait([running])
    assert not owner.running_lanes()


async def test_who_stops_in_the_middle_of_a_rebalance_asks_for_another(owner):
    """The one under way shares the lanes out as if we stayed."""
    group = GroupOfOne(owner)
    running = asyncio.create_task(owner.run(group))
    await run_tasks()
    running.cancel()
    await run_tasks()
    owner._sharing._told = False  # what we said before
    owner._sharing.on_assignment(SimpleNamespace(user_data=None))
    group._lanes = ()
    await rebalance(owner, 0, 1)
    await run_tasks()
    assert len(group.says) == 2
    assert [lane.calls[-1] for lane in owner.made] == ["hand over in 4 s"] * 2
    for lane in owner.made:
        lane.released.set()
    await asyncio.wait([running])


async def test_who_stops_alone_hands_its_lanes_over_at_once(owner):
    """Nobody waits for them, but whoever comes next need not wait for a lease."""
    running = asyncio.create_task(owner.run(GroupOfOne(owner, lanes=(0, 1))))
    await run_tasks()
    running.cancel()
    await asyncio.wait([running])
    for lane in owner.made:
        lane.released.set()
    await owner.close()
    assert [lane.calls for lane in owner.made] == [["stay", "hand over in 0 s", "released", "close"]] * 2


async def test_who_stops_while_kafka_is_away_waits_for_the_group_no_longer_than_a_session(owner):
    """Then the lanes are handed over as far as that goes."""
    running = asyncio.create_task(owner.run(GroupOfOne(owner)))
    await run_tasks()
    running.cancel()
    _, late = await asyncio.wait([running], timeout=3)
    assert not late
    assert [lane.calls for lane in owner.made] == [[], []]


async def test_who_is_told_to_stop_twice_gives_nothing_away_but_hands_over(owner):
    """Whoever runs it has no patience, yet a call in flight is waited for."""
    running = asyncio.create_task(owner.run(GroupOfOne(owner, lanes=())))
    await run_tasks()
    running.cancel()
    await run_tasks()
    running.cancel()
    await asyncio.wait([running])
    closing = asyncio.create_task(owner.close())
    await run_tasks()
    assert [lane.calls[-1] for lane in owner.made] == ["hold", "hold"]
    for lane in owner.made:
        lane.released.set()
    await closing
    assert not owner.running_lanes()
