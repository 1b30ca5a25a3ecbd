"""Reads the topic of jobs for recovery: where its partitions end, and whether a job is in it."""

import asyncio
from typing import Final

import structlog
from aiokafka import TopicPartition

from shared.contract.cloud_events import header
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.partitions import partition_of
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

_REFRESH_SECONDS: Final = 10.0
#: Until the ends are known no upload can be accepted.
_FIRST_REFRESH_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 1.0


class EndsUnknown(RuntimeError):
    """Kafka did not answer, so it is not known where the topic ends."""


class JobsTopic:
    """Reads `hospital.jobs` without a group. The ends that it knows may be a few seconds old and are then too low."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = settings.topics.jobs
        self._ends: dict[int, int] = {}

    def partition_of(self, job_id: str) -> int:
        """The partition of a job's events."""
        return partition_of(job_id.encode(), self._settings.kafka_topic_partitions)

    def check(self) -> None:
        """Raises EndsUnknown until the ends have been read once. Before that no upload can be accepted."""
        if not self._ends:
            raise EndsUnknown(f"the ends of {self._topic} have not been read yet")

    async def lower_bound(self, partition: int, seconds: float) -> int:
        """An offset that is not higher than any event that is written from now on.

        Asks Kafka only if the ends are not known yet. Raises EndsUnknown when it does not answer in so many seconds.
        """
        if partition not in self._ends:
            await self.refresh(seconds)
        return self._ends[partition]

    async def keep_current(self) -> None:
        """Reads the ends again and again, for ever. During an outage of Kafka the old ones stay, and stay valid."""
        while True:
            try:
                await self.refresh(_REFRESH_SECONDS)
            except EndsUnknown as error:
                log.debug("ends_not_refreshed", reason=str(error))
            await asyncio.sleep(_REFRESH_SECONDS if self._ends else _FIRST_REFRESH_SECONDS)

    async def refresh(self, seconds: float) -> None:
        """Reads the ends once. Raises EndsUnknown when Kafka does not answer in so many seconds."""
        try:
            await run_with_timeout(seconds, self._read_ends())
        except KAFKA_FAILURES as error:
            raise EndsUnknown(str(error)) from error

    async def _read_ends(self) -> None:
        consumer = self._consumer("read_uncommitted")
        try:
            await consumer.start()
            partitions = [self._at(index) for index in range(self._settings.kafka_topic_partitions)]
            ends = await consumer.end_offsets(partitions)
            self._ends = {partition.partition: offset for partition, offset in ends.items()}
        finally:
            await consumer.stop(_STOP_SECONDS)

    async def has_job(self, job_id: str, partition: int, offset: int) -> bool:
        """Whether the job's JobAccepted was committed at this offset or later.

        Fence the job's producer first, so that nothing more is written for it. Waits until open transactions of
        others end, since they may hide this job: give it a time limit. Raises one of KAFKA_FAILURES.
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
            await consumer.stop(_STOP_SECONDS)

    async def _end(self, at: TopicPartition) -> int:
        # The end of everything written. The committed end is where another upload's open transaction begins.
        consumer = self._consumer("read_uncommitted")
        try:
            await consumer.start()
            end: int = (await consumer.end_offsets([at]))[at]
            return end
        finally:
            await consumer.stop(_STOP_SECONDS)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)

    def _consumer(self, isolation_level: str) -> Consumer:
        return Consumer(**{**kafka_options.consumer_options(self._settings), "isolation_level": isolation_level})


async def _found(consumer: Consumer, at: TopicPartition, end: int, job_id: str) -> bool:
    while await consumer.position(at) < end:
        for record in (await consumer.getmany(at, timeout_ms=200)).get(at, []):
            if record.key == job_id.encode() and header(record.headers, "ce_type") == "JobAccepted":
                return True
    return False
