"""Reads hospital.results from where the database says, without a group."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: Unpacking and hashing so many takes less than a millisecond; uploads go on in between.
_RECORDS_PER_TURN: Final = 64
_POLL_MS: Final = 200
_STOP_SECONDS: Final = 1.0


class OtherTopic(RuntimeError):
    """The topic ends before the offset that comes next: it is another one than was read before."""


class ResultsReader:
    """A consumer of all partitions of hospital.results, read_committed."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        topic = settings.topics.results
        self._partitions = [TopicPartition(topic, index) for index in range(settings.kafka_topic_partitions)]
        self._consumer = Consumer(**kafka_options.consumer_options(settings))

    async def cluster(self) -> str:
        """The id of the Kafka cluster. Raises one of KAFKA_FAILURES."""
        client = kafka_options.admin_client(self._settings)
        try:
            await client.start()
            described = await client.describe_cluster()
        finally:
            await client.close()
        return str(described.get("cluster_id") or "")

    async def start(self, offsets: Mapping[int, int], oldest: datetime) -> None:
        """Begins at these offsets; in a partition without one at the first record that is not older than `oldest`."""
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        unknown = [each for each in self._partitions if each.partition not in offsets]
        begin = await self._first_after(unknown, oldest) if unknown else {}
        for each in self._partitions:
            self._consumer.seek(each, begin[each] if each in begin else offsets[each.partition])

    async def read(self) -> Sequence[ConsumerRecord]:
        """Some records; waits for them for 0.2 s. Raises OtherTopic, or one of KAFKA_FAILURES.

        Where records were deleted before they were read it goes on behind them.
        """
        try:
            found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_PER_TURN)
        except OffsetOutOfRangeError as error:
            await self._skip_deleted(error.args[0])
            return []
        return [record for records in found.values() for record in records]

    async def reached(self) -> dict[int, int]:
        """The offset that comes next in each partition."""
        return {each.partition: await self._consumer.position(each) for each in self._partitions}

    def behind(self, reached: Mapping[int, int]) -> int:
        """How many records are left to be read, as far as Kafka has said."""
        ends = {each.partition: self._consumer.highwater(each) for each in self._partitions}
        return sum(max(0, end - reached[partition]) for partition, end in ends.items() if end is not None)

    async def stop(self) -> None:
        """Ends it, within a few seconds."""
        await self._consumer.stop(_STOP_SECONDS)

    async def _first_after(self, partitions: Sequence[TopicPartition], oldest: datetime) -> dict[TopicPartition, int]:
        # The ends first: what is written meanwhile lies behind them.
        ends = await self._consumer.end_offsets(partitions)
        moment = max(0, int(1000 * oldest.timestamp()))
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, moment))
        return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}

    async def _skip_deleted(self, out_of_range: Mapping[TopicPartition, int]) -> None:
        beginnings = await self._consumer.beginning_offsets(list(out_of_range))
        for each, offset in out_of_range.items():
            if offset >= beginnings[each]:
                raise OtherTopic(f"{each.topic}-{each.partition} ends before {offset}")
            log.warning("created_rows_deleted", partition=each.partition, offset=offset, next=beginnings[each])
            self._consumer.seek(each, beginnings[each])
