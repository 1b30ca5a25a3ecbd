"""The lanes of this processor: which it gets from the group, how each is taken over, and how it is given away.

A lane is one partition index of its three topics: both of rows, and `hospital.jobs`. One processor gets all three.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import OffsetOutOfRangeError

from services.processor import metrics
from services.processor.assignment.hand_overs import HandOvers
from services.processor.assignment.lane_reader import LaneReader
from services.processor.assignment.sharing import LaneSharing
from services.processor.lane.lane import Lane
from services.processor.lane.ownership import LaneEnd
from services.processor.lane.takeover import SET_COMMAND, OffsetsForgotten
from services.processor.memory.budget import MemoryBudget
from services.processor.settings import ProcessorSettings
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.membership import ask_for_rebalance, is_member
from shared.runtime.kafka.rebalances import AssignmentLost

log = structlog.get_logger(__name__)

#: So many times as long as a call can last, a lane that leaves waits for a moment without calls.
LEAVING_CALLS = 2
#: A rebalance waits so long for takeovers that are under way.
TAKEOVER_SECONDS = 2.0
TAKEOVER_RETRY_SECONDS = 1.0

#: Takes a lane over. Raises one of KAFKA_FAILURES when it has to be tried again.
TakeOver = Callable[[int, AIOKafkaConsumer], Awaitable[Lane]]

#: Returns when the lane's owner has handed it over, or should have. Raises one of KAFKA_FAILURES.
Release = Callable[[int], Awaitable[None]]


async def no_release(_index: int) -> None:
    """Nobody is about to hand the lane over."""


def _leave_unread(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    """Gives paused partitions some position, until their lane's takeover seeks.

    Without one aiokafka asks Kafka for it at every poll, and each poll fails at once, also for the other lanes.
    """
    for partition in partitions:
        consumer.seek(partition, 0)


class LaneConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """The lanes of this processor, and the consumer that feeds them. `take_over` makes each of them.

    `memory`: of all lanes. What does not fit is fetched again when there is room.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        take_over: TakeOver,
        memory: MemoryBudget,
        clock: Callable[[], float] = time.monotonic,
        retry_seconds: float = TAKEOVER_RETRY_SECONDS,
        sharing: LaneSharing | None = None,
        release: Release = no_release,
        takeover_seconds: float = TAKEOVER_SECONDS,
    ) -> None:
        #: The lanes that were taken over, also those that have ended since the last assignment.
        self.lanes: dict[int, Lane] = {}
        self._settings = settings
        self._take_over = take_over
        self._reader = LaneReader(settings, self.lanes, memory, clock)
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._release = release
        self._takeover_seconds = takeover_seconds
        self._sharing = sharing or LaneSharing()
        self._sharing.wanted = lambda: self._assigned
        self._sharing.held = lambda: [lane.partition for lane in self._held_lanes()]
        self._hand_overs = HandOvers(settings.hospital_api_timeout, self._fail, self._claim_no_more)
        self._subscriber: Any = None
        #: What takes each assigned lane over and runs it.
        self._keepers: dict[int, asyncio.Task[None]] = {}
        #: All of them, also those that are still ending.
        self._tasks: set[asyncio.Task[None]] = set()
        self._assigned: set[int] = set()
        #: Set when we know our lanes.
        self._lanes_known = asyncio.Event()
        #: For each takeover that has begun an event that tells its end. One that was cut off may end after the next.
        self._takeovers: set[asyncio.Event] = set()
        #: Lanes that are being read and fenced now, or are again when that has failed.
        self._taking_over: set[int] = set()
        #: Lanes that stopped because records are missing, with the reason.
        self._stopped: dict[int, str] = {}
        #: The consumer whose group this processor is leaving, or has left.
        self._left_consumer: AIOKafkaConsumer | None = None
        self._failure: Exception | None = None
        #: When the last poll returned (monotonic).
        self.last_poll: float | None = None

    def attach(self, subscriber: Any) -> None:
        """Sets the subscriber whose consumer feeds the lanes. Needed before it starts: that brings an assignment."""
        self._subscriber = subscriber

    def running_lanes(self) -> list[Lane]:
        """The lanes that have not ended, also those that are being handed over."""
        return [lane for lane in (*self.lanes.values(), *self._hand_overs.lanes) if not lane.ended]

    def being_taken_over(self) -> frozenset[int]:
        """The lanes that are ours but send nothing yet: they are read, fenced, or wait for their former owner's lease.

        One that its owner still hands over is not among them: it sends.
        """
        waiting = {lane.partition for lane in self.running_lanes() if lane.taking_over}
        return frozenset(self._taking_over | waiting)

    def _held_lanes(self) -> list[Lane]:
        """Those that nobody else may take over before we have handed them over."""
        return [lane for lane in self.running_lanes() if lane not in self._hand_overs.given_up]

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Polls until cancelled, and then gives the lanes to the other processors, if there are any.

        Raises one of KAFKA_FAILURES when the consumer has to be made anew.
        """
        try:
            while True:
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                await self._poll(consumer)
                self.last_poll = self._clock()
                await asyncio.sleep(0)  # a poll whose records have been fetched already returns without yielding
        except asyncio.CancelledError:
            await self._give_lanes_away(consumer)
            raise

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await self._reader.poll(consumer)
        except OffsetOutOfRangeError as error:
            self._stop_lanes(error)

    def _stop_lanes(self, error: OffsetOutOfRangeError) -> None:
        for partition, offset in dict(error.args[0]).items():
            reason = (
                f"offset {offset} of {partition.topic}-{partition.partition} is not in the topic any more: "
                f"rows were deleted before they were processed. Restore them, or move the offset: {SET_COMMAND}"
            )
            self._stop(partition.partition, reason)
            if lane := self.lanes.get(partition.partition):
                lane.stop(reason)

    def _stop(self, index: int, reason: str) -> None:
        """The lane stays stopped while it is assigned to us; readiness says why."""
        self._taking_over.discard(index)
        self._stopped[index] = reason
        metrics.STOPPED_LANES.set(len(self._stopped))

    # ---- rebalances --------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:  # noqa: ARG002 - all lanes are
        """A rebalance begins. The lanes go on: most of them stay, and who gets another waits for it.

        When the group has gone on without us, others may have our lanes: what is in flight ends and is committed.
        """
        try:
            await self._end_takeovers()
            if not is_member(self._subscriber.consumer):
                self._give_up()
        except Exception as error:
            self._failure = AssignmentLost(repr(error))
            raise

    async def _end_takeovers(self) -> None:
        """Waits for takeovers that have begun. The other lanes that we were to get may go elsewhere."""
        self._reader.stopped = True
        self._lanes_known.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._takeover_seconds):
                for ended in list(self._takeovers):
                    await ended.wait()
        self._cancel_takeovers()

    def _give_up(self) -> None:
        self._assigned = set()
        self._taking_over.clear()
        for lane in [lane for lane in self.lanes.values() if not lane.ended]:
            self._begin_to_leave(lane, seconds=0)
        self._hand_overs.give_up()

    def _begin_to_leave(self, lane: Lane, seconds: float) -> None:
        del self.lanes[lane.partition]
        self._keepers.pop(lane.partition)  # it runs the lane to its end
        self._hand_overs.begin(lane, seconds)

    def _cancel_takeovers(self) -> None:
        running = {lane.partition for lane in self.lanes.values() if not lane.ended}
        for index in self._keepers.keys() - running:
            self._keepers.pop(index).cancel()  # the next owner will have to take the lane over anyway

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Resumes lanes that stay, closes lanes that went, starts new ones in the background.

        Must not wait: Kafka gets no heartbeat before this returns.
        """
        try:
            self._assign(assigned)
        except Exception as error:
            # aiokafka would log it and go on, with lanes that nobody reads.
            self._failure = AssignmentLost(repr(error))
            raise

    def _assign(self, assigned: list[TopicPartition]) -> None:
        consumer = self._subscriber.consumer
        if consumer is self._left_consumer:
            return  # this rebalance began before we left the group: the lanes are for other members
        consumer.pause(*assigned)
        self._assigned = {partition.partition for partition in assigned}
        self._stopped = {index: why for index, why in self._stopped.items() if index in self._assigned}
        log.info("lanes_assigned", partitions=sorted(self._assigned))
        for index, lane in list(self.lanes.items()):
            if lane.ended:
                del self.lanes[index]
            elif index in self._assigned:
                lane.stay()
            else:
                self._begin_to_leave(lane, LEAVING_CALLS * self._settings.hospital_api_timeout)
        for index in self._keepers.keys() - self.lanes.keys():
            self._keepers.pop(index).cancel()
        self._taking_over.clear()  # all takeovers begin anew
        _leave_unread(consumer, [each for each in assigned if each.partition not in self.lanes])
        for index in self._assigned - self.lanes.keys() - self._stopped.keys():
            self._keepers[index] = self._start(self._keep_lane(index, consumer))
        self._sharing.awaited -= self.lanes.keys()
        self._reader.stopped = False
        self._lanes_known.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---- the life of a lane ------------------------------------------------------------------------------------------

    async def _keep_lane(self, index: int, consumer: AIOKafkaConsumer) -> None:
        """Takes a lane over and runs it; again, when it ends and is still ours."""
        try:
            while self._keeps(index):
                try:
                    await self._released(index)
                    lane = await self._begin_takeover(index, consumer)
                except KAFKA_FAILURES as error:
                    log.warning("takeover_failed", partition=index, reason=repr(error), next="again")
                    await asyncio.sleep(self._retry_seconds)
                    continue
                except OffsetsForgotten as error:
                    log.error("lane_stopped", partition=index, reason=str(error))
                    self._stop(index, str(error))
                    return
                if not await self._may_take_over_again(index, await lane.run()):
                    return
        except Exception as error:
            # A programming error. Otherwise the lane would stay assigned to us and never do anything again.
            self._failure = RuntimeError(f"lane {index} broke: {error!r}")
            raise

    async def _released(self, index: int) -> None:
        """Returns when nobody hands the lane over any more: we ourselves, who had it before, or another processor."""
        await self._hand_overs.end_of(index)
        if index in self._sharing.awaited:
            await self._release(index)
            self._sharing.awaited -= {index}  # from now on its owner is whoever takes it over, and that is we

    async def _begin_takeover(self, index: int, consumer: AIOKafkaConsumer) -> Lane:
        ended = asyncio.Event()
        self._takeovers.add(ended)
        self._taking_over.add(index)
        try:
            self.lanes[index] = lane = await self._take_over(index, consumer)
            self._taking_over.discard(index)
        finally:
            self._takeovers.remove(ended)
            ended.set()
        return lane

    def _keeps(self, index: int) -> bool:
        """Whether the task that asks is the one that keeps the lane."""
        return index in self._assigned and self._keepers.get(index) is asyncio.current_task()

    async def _may_take_over_again(self, index: int, end: LaneEnd) -> bool:
        """Returns when a lane that has ended may be taken over again; False when it may not."""
        if end is LaneEnd.FENCED and self._keeps(index):
            # The processor that fenced us is the owner, unless the lane is still ours when the group has settled.
            log.warning("lane_fenced", partition=index, next="takeover if still assigned later")
            await asyncio.sleep(self._settings.session_timeout_ms / 1000)
        return end in (LaneEnd.FENCED, LaneEnd.INDEFINITE)

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _claim_no_more(self) -> None:
        """A lane was not released. Whoever is to have it waits for us, until we do not claim it any more."""
        ask_for_rebalance(self._subscriber.consumer)

    def _fail(self, failure: Exception) -> None:
        self._failure = failure

    async def _give_lanes_away(self, consumer: AIOKafkaConsumer) -> None:
        """Asks the group to share the lanes out without us, and hands over what others got; nothing when that fails.

        We stay in the group for that. So the lanes go on until their next owners wait for them.
        """
        if not self.running_lanes():
            return
        self._sharing.leaves = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.session_timeout_ms / 1000):
                while not self._sharing.leaving_is_known:  # a rebalance that is under way does not tell
                    self._lanes_known.clear()
                    ask_for_rebalance(consumer)
                    await self._lanes_known.wait()
        await self._hand_overs.end_of_all()

    async def close(self) -> None:
        """Hands all lanes over and ends them: before the processor stops, or its consumer is made anew."""
        self._left_consumer = self._subscriber.consumer
        self._reader.stopped = True
        self._assigned = set()
        self._taking_over.clear()
        self._cancel_takeovers()
        self._hand_overs.hold()
        running = [lane for lane in self.lanes.values() if not lane.ended]
        if ends := [asyncio.create_task(self._hand_overs.hand_over(lane)) for lane in running]:
            await asyncio.wait(ends)
        await self._hand_overs.end_of_all()
        for lane in self.lanes.values():
            lane.close()
        self.lanes.clear()
        self._keepers.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ---- health ------------------------------------------------------------------------------------------------------

    async def check_lanes(self) -> None:
        """Raises RuntimeError when a lane has stopped: rows are missing from its topic, or offsets from its group."""
        if self._stopped:
            raise RuntimeError("; ".join(dict.fromkeys(self._stopped.values())))
