"""Polls the lanes' topics and gives each record to its lane. Polling never stops; what has no room is paused."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError

from services.processor.lane.lane import Lane
from services.processor.memory.budget import MemoryBudget
from services.processor.memory.fetch_turns import FetchTurns
from services.processor.memory.sizes import FETCHED_AT_ONCE, PARTITION_FETCH_BYTES
from services.processor.settings import ProcessorSettings
from services.processor.subscriptions import lane_topics

POLL_MS: Final = 100
#: The most records of one poll. Reading many at once would delay the handling of answers.
POLL_RECORDS: Final = 100

Batch = dict[TopicPartition, list[ConsumerRecord]]


class LaneReader:
    """Reads for the lanes of this processor. `lanes`: by partition index; they come and go.

    `memory`: of all lanes. What does not fit is fetched again when there is room.
    """

    def __init__(
        self, settings: ProcessorSettings, lanes: Mapping[int, Lane], memory: MemoryBudget, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._memory = memory
        self._clock = clock
        self._bulk = settings.topics.rows_bulk
        self._turns = {topic: FetchTurns(PARTITION_FETCH_BYTES) for topic in lane_topics(settings.topics)}
        self._express_first = False
        self._poll_records = max(1, min(POLL_RECORDS, settings.window_rows // 10))
        #: From the beginning of a rebalance until we know our lanes nothing is read.
        self.stopped = False

    async def poll(self, consumer: AIOKafkaConsumer) -> None:
        """Reads once, for at most 100 ms. Raises OffsetOutOfRangeError when records are missing from a topic."""
        self.pause_and_resume(consumer)
        try:
            batch = await self._read(consumer)
        except NoOffsetForPartitionError:
            return  # a lane has not sought yet
        for partition in consumer.assignment():
            lane = self._lanes.get(partition.partition)
            if lane is not None and lane.reads and not self.stopped:
                await self._admit(consumer, partition, lane, batch.get(partition, []))

    async def _read(self, consumer: AIOKafkaConsumer) -> Batch:
        """Some of what has been fetched. Every other time express rows first: bulk rows may have come long before them.

        It asks once more only when it has got nothing: what is in hand when asking raises would be lost.
        """
        batch: Batch
        self._express_first = not self._express_first
        first = [each for each in consumer.assignment() - consumer.paused() if each.topic != self._bulk]
        if self._express_first and first:
            batch = await consumer.getmany(*first, timeout_ms=0, max_records=self._poll_records)
            if batch:
                return batch
            self._express_first = False
        batch = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._poll_records)
        return batch

    async def _admit(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, lane: Lane, records: list[ConsumerRecord]
    ) -> None:
        """Gives records to their lane, as far as there is memory for them. The others are fetched again."""
        # The position also passes what is never delivered, such as the markers of transactions.
        position = await consumer.position(partition)
        fitting = lane.fitting(partition.topic, records)
        if fitting < len(records):
            position = records[fitting].offset
            consumer.seek(partition, position)
            records = records[:fitting]
        if records:
            size = sum(len(record.value or b"") for record in records)
            self._turns[partition.topic].delivered(partition.partition, size, self._clock())
        lane.admit(partition.topic, records, position)

    def pause_and_resume(self, consumer: AIOKafkaConsumer) -> None:
        """Reads on where there is room, and nowhere else."""
        assigned = consumer.assignment()
        wanted = self._to_read(consumer, assigned)
        paused = consumer.paused()
        if to_pause := assigned - wanted - paused:
            consumer.pause(*to_pause)
        if to_resume := paused & wanted:
            consumer.resume(*to_resume)

    def _to_read(self, consumer: AIOKafkaConsumer, assigned: set[TopicPartition]) -> set[TopicPartition]:
        """The partitions with room in their lanes; of those in which much waits only so many at once."""
        wanted, waiting = set(), defaultdict(list)
        for partition in assigned:
            if self._has_room(partition):
                wanted.add(partition)
                end = consumer.last_stable_offset(partition)
                if end is not None and self._lanes[partition.partition].position(partition.topic) < end:
                    waiting[partition.topic].append(partition.partition)
        for topic, partitions in waiting.items():
            chosen = self._turns[topic].choose(partitions, self._at_once(topic), self._clock())
            wanted -= {TopicPartition(topic, each) for each in partitions if each not in chosen}
        return wanted

    def _at_once(self, topic: str) -> int:
        if topic not in self._settings.topics.rows:
            return FETCHED_AT_ONCE
        fitting = self._memory.largest_records(express=topic != self._bulk)
        return max(min(FETCHED_AT_ONCE, fitting), 1)

    def _has_room(self, partition: TopicPartition) -> bool:
        lane = self._lanes.get(partition.partition)
        if lane is None or not lane.reads or self.stopped:
            return False
        return lane.has_room(partition.topic, self._poll_records)
