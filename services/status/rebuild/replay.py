"""The topics from their beginning to their end, projected into empty tables, without a group and without sending."""

from collections.abc import Callable, Mapping
from typing import Final, Self

from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.projection.decoding import DeadLetterWriter, Decoder
from services.status.projection.rejected_records import project_records
from services.status.tables import stored_offsets
from services.status.tables.stored_offsets import Step
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.settings import KafkaSettings

_BATCH_RECORDS: Final = 5_000
_POLL_MS: Final = 200

#: How many records have been read, of how many.
Progress = Callable[[int, int], None]


class Replay:
    """Reads for one rebuild; an async context manager. Everything raises KafkaError, SQLAlchemyError or OSError."""

    def __init__(self, settings: KafkaSettings, engine: AsyncEngine, dead_letters: DeadLetterWriter) -> None:
        self._settings = settings
        self._engine = engine
        self._decoder = Decoder(settings.topics, dead_letters)
        self._consumer = Consumer(**kafka_options.consumer_options(settings))
        self._at: dict[TopicPartition, int] = {}
        self.records = 0

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await self._begin()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def to_the_end(self, progress: Progress) -> None:
        """Projects all that is on the topics now."""
        ends = await self._consumer.end_offsets(list(self._at))
        await self.up_to(ends, progress)

    async def up_to(self, ends: Mapping[TopicPartition, int], progress: Progress) -> None:
        """Projects until every partition has reached its end; one that is there already may go further."""
        total = sum(max(end - self._at[partition], 0) for partition, end in ends.items())
        before = sum(self._at.values())
        while any(self._at[partition] < end for partition, end in ends.items()):
            found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)
            await self._project([record for some in found.values() for record in some])
            progress(sum(self._at.values()) - before, total)

    async def _begin(self) -> None:
        topics = self._settings.topics
        wanted = {topics.results, topics.jobs, topics.processors}
        partitions = [
            TopicPartition(topic.name, number)
            for topic in topics.all()
            if topic.name in wanted
            for number in range(topic.partitions)
        ]
        self._consumer.assign(partitions)
        self._at = await self._consumer.beginning_offsets(partitions)
        for partition, offset in self._at.items():
            self._consumer.seek(partition, offset)
        async with self._engine.begin() as connection:
            await stored_offsets.begin(connection, self._at)

    async def _project(self, records: list[ConsumerRecord]) -> None:
        reached = {partition: await self._consumer.position(partition) for partition in self._at}
        steps = [
            Step(partition.topic, partition.partition, self._at[partition], offset)
            for partition, offset in reached.items()
            if offset != self._at[partition]
        ]
        if steps:
            batch = await self._decoder.decode(records)
            await project_records(self._engine, self._decoder, steps, records, batch)
        self._at, self.records = reached, self.records + len(records)
