"""Polls the rows and gives each record to its lane; polling never stops, full lanes are paused.

A lane belongs to a partition index over both topics of rows; the range assignor gives both to the same processor.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from services.processor import metrics
from services.processor.lane.lane import Lane, LaneEnd
from services.processor.settings import ProcessorSettings

log = structlog.get_logger(__name__)

POLL_MS = 100
#: Records a poll may bring; a lane without room for them is paused before. To read many at once would hold up answers.
POLL_RECORDS = 100
#: A hand-over waits this much longer than a call can last.
HOLD_MARGIN_SECONDS = 5.0

MakeLane = Callable[[int, AIOKafkaConsumer], Lane]


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """The lanes of this processor, and the consumer that feeds them."""

    def __init__(self, settings: ProcessorSettings, make_lane: MakeLane) -> None:
        self.lanes: dict[int, Lane] = {}
        self._settings = settings
        self._topics = settings.topics.rows
        self._make_lane = make_lane
        self._subscriber: Any = None
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._assigned: set[int] = set()
        self._lost: dict[int, str] = {}
        self._handing_over = asyncio.Lock()
        self._left: AIOKafkaConsumer | None = None
        self._broken: RuntimeError | None = None
        #: When a poll last came back (monotonic).
        self.last_poll: float | None = None
        self._poll_records = max(1, min(POLL_RECORDS, settings.window_rows // 10))

    def attach(self, subscriber: Any) -> None:
        """Names the subscriber whose consumer feeds the lanes: its first assignment comes while it is starting."""
        self._subscriber = subscriber

    def running_lanes(self) -> list[Lane]:
        """The lanes that are not over."""
        return [lane for lane in self.lanes.values() if lane.end is None]

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Polls until cancelled. Raises KafkaError when the consumer is of no more use."""
        while True:
            if self._broken is not None:
                raise self._broken
            await self._poll(consumer)
            self.last_poll = time.monotonic()
            await asyncio.sleep(0)  # aiokafka hands out what it has fetched without a break

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        self._pause_and_resume(consumer)
        try:
            batch = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._poll_records)
        except NoOffsetForPartitionError:
            return  # of a lane that has not sought yet
        except OffsetOutOfRangeError as error:
            self._lose(error)
            return
        for partition in consumer.assignment():
            lane = self.lanes.get(partition.partition)
            if lane is not None and lane.sought and lane.end is None:
                # The position also tells of what is never delivered, such as the markers of transactions.
                lane.admit(partition.topic, batch.get(partition, []), await consumer.position(partition))

    def _pause_and_resume(self, consumer: AIOKafkaConsumer) -> None:
        assigned = consumer.assignment()
        wanted = {partition for partition in assigned if not self._has_room(partition)}
        paused = consumer.paused()
        if to_pause := wanted - paused:
            consumer.pause(*to_pause)
        if to_resume := (paused - wanted) & assigned:
            consumer.resume(*to_resume)

    def _has_room(self, partition: TopicPartition) -> bool:
        lane = self.lanes.get(partition.partition)
        return (
            lane is not None and lane.end is None and lane.sought and lane.has_room(partition.topic, self._poll_records)
        )

    def _lose(self, error: OffsetOutOfRangeError) -> None:
        for partition, offset in dict(error.args[0]).items():
            reason = (
                f"offset {offset} of {partition.topic}-{partition.partition} is not in the topic any more: "
                "rows were deleted before they were processed. Restore them, or move the group's offset on purpose."
            )
            self._lost[partition.partition] = reason
            if lane := self.lanes.get(partition.partition):
                lane.lose(reason)
        metrics.STOPPED_LANES.set(len(self._lost))

    # ---- rebalances --------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:  # noqa: ARG002 - every lane is held
        """Nothing new is sent until the new assignment is known; calls in flight finish and are committed."""
        # A rebalance may begin while we leave: a hand-over that is under way must not be cut off by the next.
        async with self._handing_over:
            await self._hand_over()

    async def _hand_over(self) -> None:
        self._assigned = set()
        for lane in self.running_lanes():
            if not lane.sought:  # still taking over: whoever gets it next does that anew
                await self._end(lane)
        for lane in self.running_lanes():
            lane.sought = False
        held = [asyncio.create_task(lane.hold()) for lane in self.running_lanes()]
        if held:
            _, late = await asyncio.wait(held, timeout=self._settings.hospital_api_timeout + HOLD_MARGIN_SECONDS)
            for task in late:
                task.cancel()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Lanes that stay go on, lanes that went are closed, new ones take over in the background.

        Kafka gets no heartbeat before this returns, so nothing here waits.
        """
        consumer = self._subscriber.consumer
        if consumer is self._left:
            return  # a rebalance that began before we left has ended: whoever comes next does the work
        consumer.pause(*assigned)
        self._assigned = {partition.partition for partition in assigned}
        self._lost = {index: why for index, why in self._lost.items() if index in self._assigned}
        log.info("lanes_assigned", partitions=sorted(self._assigned))
        for index, lane in list(self.lanes.items()):
            if index not in self._assigned or lane.end is not None:
                lane.close()
                del self.lanes[index]
            else:
                lane.resume()
        for index in self._assigned - self.lanes.keys():
            self._begin(index)

    def _begin(self, index: int) -> None:
        if index not in self._assigned or index in self._lost:
            return
        lane = self._make_lane(index, self._subscriber.consumer)
        self.lanes[index] = lane
        task = asyncio.create_task(self._live(lane))
        self._tasks[lane] = task
        task.add_done_callback(lambda _: self._tasks.pop(lane, None))

    async def _live(self, lane: Lane) -> None:
        try:
            end = await lane.run()
        except Exception as error:
            # A mistake: the lane would stay assigned to us and never do anything again.
            self._broken = RuntimeError(f"lane {lane.partition} broke: {error!r}")
            raise
        if self.lanes.get(lane.partition) is not lane:
            return
        if end is LaneEnd.INDEFINITE:
            self._begin(lane.partition)
        elif end is LaneEnd.FENCED:
            # Whoever fenced us is the rightful owner, unless we are still assigned when the group has settled.
            log.warning("lane_fenced", partition=lane.partition, next="takeover if still assigned later")
            await asyncio.sleep(self._settings.session_timeout_ms / 1000)
            if self.lanes.get(lane.partition) is lane:
                self._begin(lane.partition)

    async def _end(self, lane: Lane) -> None:
        lane.close()
        self.lanes.pop(lane.partition, None)
        if task := self._tasks.get(lane):
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Hands all lanes over cleanly and ends them: before the processor stops, or its consumer is made anew."""
        self._left = self._subscriber.consumer
        self._assigned = set()
        await self.on_partitions_revoked([])
        for lane in list(self.lanes.values()):
            await self._end(lane)

    # ---- health ------------------------------------------------------------------------------------------------------

    async def check_lanes(self) -> None:
        """Raises when a lane has stopped because rows are missing from its topic."""
        if self._lost:
            raise RuntimeError("; ".join(self._lost.values()))
