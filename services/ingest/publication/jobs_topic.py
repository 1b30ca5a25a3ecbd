"""The topic of jobs, as the settling of uploads needs it: where its partitions end, and whether a job is in it."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from shared.contract.cloud_events import header
from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import detach, run_with_timeout

log = structlog.get_logger(__name__)

_partitioner = DefaultPartitioner()
REFRESH_SECONDS: Final = 10.0


class EndsUnknown(RuntimeError):
    """Kafka could not be reached, so nobody knows where the topic ends."""


class JobsLog:
    """Reads `hospital.jobs` without a group. The ends that it knows may be a few seconds old, but never too high."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = settings.topics.jobs
        self._ends: dict[int, int] = {}

    def partition_of(self, job_id: str) -> int:
        """Where the events of a job are written and read."""
        partitions = list(range(self._settings.kafka_topic_partitions))
        partition: int = _partitioner(job_id.encode(), partitions, partitions)
        return partition

    def check(self) -> None:
        """Raises EndsUnknown until the ends have been read once, which is when Kafka is ready for the first upload."""
        if not self._ends:
            raise EndsUnknown(f"the ends of {self._topic} have not been read yet")

    async def lower_bound(self, partition: int, seconds: float) -> int:
        """An offset below which no event can be that is written from now on.

        Asks Kafka only when it has not answered since the start. Raises EndsUnknown when it does not in so long.
        """
        if partition not in self._ends:
            await self.refresh_now(seconds)
        return self._ends[partition]

    async def keep_current(self) -> None:
        """Reads the ends again and again, for ever. While Kafka is down the old ones stay, and stay true."""
        while True:
            try:
                await self.refresh_now(10.0)
            except EndsUnknown as error:
                log.debug("ends_not_refreshed", reason=str(error))
                # Soon again when nothing is known, since no upload can be accepted until then.
                await asyncio.sleep(REFRESH_SECONDS if self._ends else 0.5)
            else:
                await asyncio.sleep(REFRESH_SECONDS)

    async def refresh_now(self, seconds: float) -> None:
        """Reads the ends once. Raises EndsUnknown when Kafka does not answer in so long."""
        try:
            await run_with_timeout(seconds, self._refresh())
        except (KafkaError, OSError, TimeoutError) as error:
            raise EndsUnknown(str(error)) from error

    async def _refresh(self) -> None:
        consumer = self._consumer("read_uncommitted")
        try:
            await consumer.start()
            partitions = [self._at(index) for index in range(self._settings.kafka_topic_partitions)]
            ends = await consumer.end_offsets(partitions)
            self._ends = {partition.partition: offset for partition, offset in ends.items()}
        finally:
            await _stop(consumer)

    async def holds(self, job_id: str, partition: int, offset: int) -> bool:
        """Whether the job's JobAccepted was committed at this offset or later.

        For jobs whose producer has been fenced: nothing more is written for them. Waits for open transactions
        of others, since what they hide may be ours; so give it a time limit. Raises KafkaError.
        """
        at = self._at(partition)
        end = await self._end(at)
        consumer = self._consumer("read_committed")
        try:
            await consumer.start()
            consumer.assign([at])
            begin = (await consumer.beginning_offsets([at]))[at]
            consumer.seek(at, max(offset, begin))
            return await _found(consumer, at, end, job_id)
        finally:
            await _stop(consumer)

    async def _end(self, at: TopicPartition) -> int:
        # Of everything written. The committed end stops where another upload's open transaction begins.
        consumer = self._consumer("read_uncommitted")
        try:
            await consumer.start()
            end: int = (await consumer.end_offsets([at]))[at]
            return end
        finally:
            await _stop(consumer)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)

    def _consumer(self, isolation_level: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **{**kafka_options.consumer_options(self._settings), "isolation_level": isolation_level}
        )


async def _found(consumer: AIOKafkaConsumer, at: TopicPartition, end: int, job_id: str) -> bool:
    while await consumer.position(at) < end:
        for record in (await consumer.getmany(at, timeout_ms=200)).get(at, []):
            if record.key == job_id.encode() and header(record.headers, "ce_type") == "JobAccepted":
                return True
    return False


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stops it without waiting for a broker that does not answer."""
    with suppress(TimeoutError, KafkaError):
        stopping = asyncio.create_task(consumer.stop())
        detach(stopping)
        await asyncio.wait({stopping}, timeout=1.0)
