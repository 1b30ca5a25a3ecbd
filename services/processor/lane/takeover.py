"""Taking a lane over: fence its former owner, and only then read what it committed last.

Reading first would be acting on what a late commit of the former owner changes afterwards.
"""

import asyncio
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.processor.lane.transactions import LaneTransactions
from services.processor.offsets.watermark import EVERYTHING, Watermark, read_watermark
from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings

READ_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the lane's former owner left. `clean`: it sent nothing after its last commit began, or never could."""

    transactions: LaneTransactions
    watermarks: dict[str, Watermark]
    clean: bool
    #: Nobody has ever committed for this lane, so nobody can have sent anything a lease ago or less.
    unowned: bool


async def take_over(settings: KafkaSettings, consumer: AIOKafkaConsumer, partition: int) -> Inheritance:
    """Fences the former owner and reads its watermarks. Raises KafkaError or TimeoutError: try again later."""
    transactions = LaneTransactions(settings, partition)
    try:
        await transactions.open()
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            committed = await _read(settings, partition)
            watermarks = {
                topic: await _bounded(consumer, TopicPartition(topic, partition), committed.get(topic))
                for topic in settings.topics.rows
            }
    except BaseException:
        await transactions.close()
        raise
    return Inheritance(
        transactions,
        watermarks,
        clean=all(mark.released for mark in committed.values()),
        unowned=not committed,
    )


async def _read(settings: KafkaSettings, partition: int) -> dict[str, Watermark]:
    """The committed watermarks by topic. aiokafka's consumer drops the metadata, the admin client does not."""
    partitions = [TopicPartition(topic, partition) for topic in settings.topics.rows]
    admin = kafka_options.admin_client(settings)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(settings.topics.group("processor"), partitions=partitions)
    finally:
        await admin.close()
    return {
        where.topic: read_watermark(commit.offset, commit.metadata or "")
        for where, commit in found.items()
        if commit.offset >= 0
    }


async def _bounded(consumer: AIOKafkaConsumer, where: TopicPartition, committed: Watermark | None) -> Watermark:
    """The watermark to begin with: a horizon that nobody knows lies at the end of what there is now."""
    if committed is None:
        beginning = (await consumer.beginning_offsets([where]))[where]
        committed = Watermark(beginning, EVERYTHING)
    if committed.horizon != EVERYTHING:
        return committed
    end = (await consumer.end_offsets([where]))[where]
    return replace(committed, horizon=max(end, committed.offset))
