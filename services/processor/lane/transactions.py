"""A lane's transactions: results and the offsets that they finish become visible together, or not at all."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from services.processor import metrics
from services.processor.offsets.watermark import Watermark
from shared.contract.cloud_events import Headers
from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

TRANSACTION_TIMEOUT_MS = 10_000
#: A commit that took longer may have hit the broker in another order than it was sent: take over again.
SLOW_COMMIT_SECONDS = 5.0
COMMIT_TIMEOUT_SECONDS = 9.0
CLOSE_TIMEOUT_SECONDS = 2.0
#: What a commit writes to a partition mostly fits in one batch; with aiokafka's 16 KiB one waits for the other.
BATCH_BYTES = 256 * 1024

OutgoingRecord = tuple[str, bytes | None, bytes | None, Headers]


class LaneFenced(RuntimeError):
    """Another processor owns the lane: discard it, and do not come back on your own."""


class CommitIndefinite(RuntimeError):
    """Nobody knows whether the commit happened: take the lane over again and see."""


class LaneTransactions:
    """The transactional producer of one lane. Its start fences every earlier owner of the lane."""

    def __init__(self, settings: KafkaSettings, partition: int) -> None:
        self._group = settings.topics.group("processor")
        self._partition = partition
        self._producer = AIOKafkaProducer(
            **kafka_options.producer_options(settings),
            transactional_id=settings.topics.transactional_id(f"processor-{partition}"),
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES,
        )

    async def open(self) -> None:
        """Fences the lane's former owner. Raises KafkaError or TimeoutError when that cannot be done now."""
        async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
            await self._producer.start()

    async def close(self) -> None:
        """Lets go of the producer, also when the broker is gone."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self._producer.stop()
        except (KafkaError, TimeoutError) as error:
            log.debug("producer_not_stopped", partition=self._partition, reason=repr(error))

    async def commit(self, records: list[OutgoingRecord], watermarks: dict[str, Watermark]) -> None:
        """Writes the records and commits the watermarks by topic in one transaction.

        Raises LaneFenced, or CommitIndefinite for everything else that goes wrong or takes long.
        """
        began = time.monotonic()
        await self._carefully(lambda: self._transaction(records, watermarks))
        seconds = time.monotonic() - began
        metrics.COMMIT_SECONDS.observe(seconds)
        if seconds > SLOW_COMMIT_SECONDS:
            raise CommitIndefinite(f"the commit took {seconds:.1f} s")

    async def _carefully(self, transaction: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                await transaction()
        except ProducerFenced as error:
            raise LaneFenced(f"lane {self._partition} has another owner") from error
        except Exception as error:
            # aiokafka asserts where a transaction was cancelled half-way, and not all of its errors are KafkaErrors.
            raise CommitIndefinite(repr(error)) from error

    async def _transaction(self, records: list[OutgoingRecord], watermarks: dict[str, Watermark]) -> None:
        batches = await self._batches(records)
        await self._producer.begin_transaction()
        # A batch that fails for good does not abort the transaction by itself: each one is kept and awaited.
        sends = [
            await self._producer.send_batch(batch, topic, partition=partition) for topic, partition, batch in batches
        ]
        # gather looks at every one of them: after a fence they all fail, not only the first.
        await asyncio.gather(*sends)
        offsets = {
            TopicPartition(topic, self._partition): OffsetAndMetadata(mark.offset, mark.metadata())
            for topic, mark in watermarks.items()
        }
        await self._producer.send_offsets_to_transaction(offsets, self._group)
        await self._producer.commit_transaction()

    async def _batches(self, records: list[OutgoingRecord]) -> list[tuple[str, int, BatchBuilder]]:
        """The records as batches by topic and partition, in order: sent one by one, each costs a future and a hash."""
        batches: list[tuple[str, int, BatchBuilder]] = []
        partitions: dict[tuple[str, bytes | None], int] = {}
        open_batches: dict[tuple[str, int], BatchBuilder] = {}
        for topic, key, value, headers in records:
            if (topic, key) not in partitions:
                partitions[topic, key] = await self._partition_of(topic, key)
            where = topic, partitions[topic, key]
            batch = open_batches.get(where)
            if batch is None or batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                batch = open_batches[where] = self._producer.create_batch()
                batches.append((*where, batch))
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        return batches

    async def _partition_of(self, topic: str, key: bytes | None) -> int:
        """As every Kafka client computes it; any, without a key."""
        everywhere = sorted(await self._producer.partitions_for(topic))
        return int(DefaultPartitioner()(key, everywhere, everywhere))
