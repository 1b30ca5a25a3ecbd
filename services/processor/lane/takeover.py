"""Taking a lane over: first fence its former owner, then read what it committed last.

The other order would be wrong: a late commit of the former owner could change what has been read.
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
class Takeover:
    """The lane's open transactions, and what its former owner committed last, by topic.

    `clean`: the former owner has handed the lane over. It has sent nothing since its last commit began.
    """

    transactions: LaneTransactions
    watermarks: dict[str, Watermark]
    clean: bool
    #: Nobody has ever committed for this lane. A commit comes before the first call, so nobody has sent anything.
    unowned: bool


async def take_over(
    settings: KafkaSettings, consumer: AIOKafkaConsumer, partition: int, transactions: LaneTransactions
) -> Takeover:
    """Opens the lane's transactions, which fences the former owner, and reads its watermarks.

    Raises KafkaError, OSError or TimeoutError: try again later, with new transactions.
    """
    try:
        await transactions.open()
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            committed = await _committed_watermarks(settings, partition)
            watermarks = {
                topic: await _with_known_horizon(consumer, TopicPartition(topic, partition), committed.get(topic))
                for topic in settings.topics.rows
            }
    except BaseException:
        await transactions.close()
        raise
    return Takeover(
        transactions,
        watermarks,
        clean=all(mark.released for mark in committed.values()),
        unowned=not committed,
    )


async def _committed_watermarks(settings: KafkaSettings, partition: int) -> dict[str, Watermark]:
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


async def _with_known_horizon(
    consumer: AIOKafkaConsumer, where: TopicPartition, committed: Watermark | None
) -> Watermark:
    """The watermark to begin with. A horizon that is not known is put at the topic's present end."""
    if committed is None:
        beginning = (await consumer.beginning_offsets([where]))[where]
        committed = Watermark(beginning, EVERYTHING)
    if committed.horizon != EVERYTHING:
        return committed
    end = (await consumer.end_offsets([where]))[where]
    return replace(committed, horizon=max(end, committed.offset))
