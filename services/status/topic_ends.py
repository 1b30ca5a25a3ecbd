"""Where hospital.jobs ends at this moment, open transactions included: no id is unknown before that was projected."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from shared import kafka
from shared.settings import KafkaSettings

_PATIENCE_SECONDS: Final = 1.2
_STOP_SECONDS: Final = 5.0


class EndUnknown(Exception):
    """Kafka did not say where the topic ends."""


class TopicEnds:
    """Asks the brokers, with a client of its own that reads nothing."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    def partition_of(self, job_id: str) -> TopicPartition:
        """The partition that holds everything about a job."""
        topics = self._settings.topics
        return TopicPartition(topics.jobs, (murmur2(job_id.encode()) & 0x7FFFFFFF) % topics.partitions)

    def partitions(self) -> list[TopicPartition]:
        """All of hospital.jobs."""
        topics = self._settings.topics
        return [TopicPartition(topics.jobs, partition) for partition in range(topics.partitions)]

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset of each. Raises EndUnknown after 1.2 s at most."""
        consumer: AIOKafkaConsumer | None = None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                consumer = await self._ready()
                ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
                return ends
        except (TimeoutError, KafkaError, OSError) as error:
            self._discard(consumer)
            raise EndUnknown(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Disconnects; waits a few seconds at most."""
        self._discard(self._consumer)
        await asyncio.gather(*self._stopping)

    async def _ready(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                # read_committed would stop at an open transaction, and hide what was written behind it.
                options = kafka.consuming(self._settings) | {"isolation_level": "read_uncommitted"}
                consumer = AIOKafkaConsumer(**options)
                try:
                    await consumer.start()
                except BaseException:
                    self._stop_later(consumer)
                    raise
                self._consumer = consumer
            return self._consumer

    def _discard(self, consumer: AIOKafkaConsumer | None) -> None:
        if consumer is not None and self._consumer is consumer:
            self._consumer = None
            self._stop_later(consumer)

    def _stop_later(self, consumer: AIOKafkaConsumer) -> None:
        task = asyncio.create_task(_stop(consumer))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_STOP_SECONDS):
            await consumer.stop()
