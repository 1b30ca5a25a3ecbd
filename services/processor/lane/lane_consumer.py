"""Polls the rows and gives each record to its lane. Polling never stops; partitions of full lanes are paused.

A lane belongs to one partition index of both topics of rows. The range assignor gives both to the same processor.
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
#: The most records of one poll. Reading many at once would delay the handling of answers.
POLL_RECORDS = 100
#: A hand-over waits this much longer than a call can last.
DRAIN_MARGIN_SECONDS = 5.0

MakeLane = Callable[[int, AIOKafkaConsumer], Lane]


class LaneConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """The lanes of this processor, and the consumer that feeds them."""

    def __init__(
        self, settings: ProcessorSettings, make_lane: MakeLane, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.lanes: dict[int, Lane] = {}
        self._settings = settings
        self._topics = settings.topics.rows
        self._make_lane = make_lane
        self._clock = clock
        self._subscriber: Any = None
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._assigned: set[int] = set()
        #: Lanes that stopped because records are missing, with the reason.
        self._stopped: dict[int, str] = {}
        self._handing_over = asyncio.Lock()
        #: The consumer whose group this processor is leaving, or has left.
        self._left_consumer: AIOKafkaConsumer | None = None
        self._failure: RuntimeError | None = None
        #: When the last poll returned (monotonic).
        self.last_poll: float | None = None
        self._poll_records = max(1, min(POLL_RECORDS, settings.window_rows // 10))

    def attach(self, subscriber: Any) -> None:
        """Sets the subscriber whose consumer feeds the lanes. Needed before it starts: that brings an assignment."""
        self._subscriber = subscriber

    def running_lanes(self) -> list[Lane]:
        """The lanes that have not ended."""
        return [lane for lane in self.lanes.values() if lane.end is None]

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Polls until cancelled. Raises KafkaError when the consumer has to be made anew."""
        while True:
            if self._failure is not None:
                raise self._failure
            await self._poll(consumer)
            self.last_poll = self._clock()
            await asyncio.sleep(0)  # a poll whose records have been fetched already returns without yielding

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        self._pause_and_resume(consumer)
        try:
            batch = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._poll_records)
        except NoOffsetForPartitionError:
            return  # a lane has not sought yet
        except OffsetOutOfRangeError as error:
            self._stop_lanes(error)
            return
        for partition in consumer.assignment():
            lane = self.lanes.get(partition.partition)
            if lane is not None and lane.sought and lane.end is None:
                # The position also passes what is never delivered, such as the markers of transactions.
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

    def _stop_lanes(self, error: OffsetOutOfRangeError) -> None:
        for partition, offset in dict(error.args[0]).items():
            reason = (
                f"offset {offset} of {partition.topic}-{partition.partition} is not in the topic any more: "
                "rows were deleted before they were processed. Restore them, or move the group's offset on purpose."
            )
            self._stopped[partition.partition] = reason
            if lane := self.lanes.get(partition.partition):
                lane.stop(reason)
        metrics.STOPPED_LANES.set(len(self._stopped))

    # ---- rebalances --------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:  # noqa: ARG002 - all lanes are drained
        """Drains all lanes: calls in flight finish and are committed. Nothing is sent until the next assignment."""
        # A rebalance may begin while we leave the group. It must not cut off the hand-over that is under way.
        async with self._handing_over:
            await self._hand_over()

    async def _hand_over(self) -> None:
        self._assigned = set()
        for lane in self.running_lanes():
            if not lane.sought:  # it is still taking over, and the next owner will have to do that anyway
                await self._end_lane(lane)
        for lane in self.running_lanes():
            lane.sought = False
        draining = [asyncio.create_task(lane.drain()) for lane in self.running_lanes()]
        if draining:
            _, late = await asyncio.wait(draining, timeout=self._settings.hospital_api_timeout + DRAIN_MARGIN_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)  # one that was committing ends its lane

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Resumes lanes that stay, closes lanes that went, starts new ones in the background.

        Must not wait: Kafka gets no heartbeat before this returns.
        """
        consumer = self._subscriber.consumer
        if consumer is self._left_consumer:
            return  # this rebalance began before we left the group: the lanes are for other members
        consumer.pause(*assigned)
        self._assigned = {partition.partition for partition in assigned}
        self._stopped = {index: why for index, why in self._stopped.items() if index in self._assigned}
        log.info("lanes_assigned", partitions=sorted(self._assigned))
        for index, lane in list(self.lanes.items()):
            if index not in self._assigned or lane.end is not None:
                lane.close()
                del self.lanes[index]
            else:
                lane.resume()
        for index in self._assigned - self.lanes.keys():
            self._start_lane(index)

    def _start_lane(self, index: int) -> None:
        if index not in self._assigned or index in self._stopped:
            return
        lane = self._make_lane(index, self._subscriber.consumer)
        self.lanes[index] = lane
        task = asyncio.create_task(self._run_lane(lane))
        self._tasks[lane] = task
        task.add_done_callback(lambda _: self._tasks.pop(lane, None))

    async def _run_lane(self, lane: Lane) -> None:
        try:
            end = await lane.run()
        except Exception as error:
            # A programming error. Otherwise the lane would stay assigned to us and never do anything again.
            self._failure = RuntimeError(f"lane {lane.partition} broke: {error!r}")
            raise
        if self.lanes.get(lane.partition) is not lane:
            return
        if end is LaneEnd.INDEFINITE:
            self._start_lane(lane.partition)
        elif end is LaneEnd.FENCED:
            # The processor that fenced us is the owner, unless the lane is still ours when the group has settled.
            log.warning("lane_fenced", partition=lane.partition, next="takeover if still assigned later")
            await asyncio.sleep(self._settings.session_timeout_ms / 1000)
            if self.lanes.get(lane.partition) is lane:
                self._start_lane(lane.partition)

    async def _end_lane(self, lane: Lane) -> None:
        lane.close()
        self.lanes.pop(lane.partition, None)
        if task := self._tasks.get(lane):
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Hands all lanes over and ends them: before the processor stops, or its consumer is made anew."""
        self._left_consumer = self._subscriber.consumer
        self._assigned = set()
        await self.on_partitions_revoked([])
        for lane in list(self.lanes.values()):
            await self._end_lane(lane)

    # ---- health ------------------------------------------------------------------------------------------------------

    async def check_lanes(self) -> None:
        """Raises RuntimeError when a lane has stopped because rows are missing from its topic."""
        if self._stopped:
            raise RuntimeError("; ".join(self._stopped.values()))
