"""Where hospital.jobs ends at this moment, open transactions included: no id is unknown before that was projected."""

from collections.abc import Collection

from aiokafka import TopicPartition

from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.partitions import partition_of
from shared.runtime.kafka.reconnecting_client import ReconnectingClient
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout


class EndUnknown(Exception):
    """Kafka did not say where the topic ends."""


class TopicEnds:
    """Asks the brokers, with a client of its own that reads nothing."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topics = settings.topics
        # read_committed would stop at an open transaction, and hide what was written behind it.
        options = kafka_options.consumer_options(settings) | {"isolation_level": "read_uncommitted"}
        self._consumer = ReconnectingClient(lambda: Consumer(**options))

    def partition_of(self, job_id: str) -> TopicPartition:
        """The partition that holds everything about a job."""
        topics = self._topics
        return TopicPartition(topics.jobs, partition_of(job_id.encode(), topics.partitions))

    def partitions(self) -> list[TopicPartition]:
        """All of hospital.jobs."""
        topics = self._topics
        return [TopicPartition(topics.jobs, partition) for partition in range(topics.partitions)]

    async def ends(self, partitions: Collection[TopicPartition], seconds: float) -> dict[TopicPartition, int]:
        """The next offset of each. Raises EndUnknown after so many seconds at most."""
        try:
            return await run_with_timeout(seconds, self._ask(partitions))
        except KAFKA_FAILURES as error:
            self._consumer.discard()
            raise EndUnknown(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Disconnects; waits a few seconds at most."""
        await self._consumer.close()

    async def _ask(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        consumer = await self._consumer.ready()
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends
