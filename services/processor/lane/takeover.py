"""Taking a lane over: read, prove membership, fence the former owner, read again, and seek.

read     Who cannot read what the group has committed must not fence: it would stop a healthy owner, and never go on
         itself. A processor that had lost only the group's coordinator did so for ever.
prove    Only a member of the group's present generation may fence. Whoever lost the lane and has not heard of it
         would fence its rightful owner.
fence    From then on the former owner commits nothing more.
read     Only what is read now holds: the former owner may have committed since the first read.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, IllegalStateError, RebalanceInProgressError
from aiokafka.structs import OffsetAndMetadata

from services.processor.lane.transactions import LaneTransactions
from services.processor.offsets.watermark import EVERYTHING, Watermark, read_watermark
from services.processor.subscriptions import lane_topics
from shared.runtime.kafka.group_offsets import GroupOffsets
from shared.runtime.kafka.membership import prove_membership
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

READ_SECONDS: Final = 10.0
RELEASE_POLL_SECONDS: Final = 0.1
SHOW_COMMAND: Final = "python -m services.processor offsets show"
SET_COMMAND: Final = "python -m services.processor offsets set"


class OffsetsForgotten(RuntimeError):
    """Nobody knows which rows are done: the lane must not begin. The message names the command that mends it."""


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


async def prove_ownership(consumer: AIOKafkaConsumer) -> None:
    """As `prove_membership`. While a rebalance begins the lanes are still those of the present generation."""
    with contextlib.suppress(RebalanceInProgressError):
        await prove_membership(consumer)


async def wait_for_release(
    settings: KafkaSettings,
    partition: int,
    seconds: float,
    group_offsets: Callable[[KafkaSettings], GroupOffsets] = GroupOffsets,
) -> bool:
    """Waits until the lane's owner, who is about to hand it over, has done so. Returns whether it has within the time.

    Raises one of KAFKA_FAILURES. It only reads: whoever owns the lane meanwhile is not disturbed.
    """
    wanted = [TopicPartition(topic, partition) for topic in lane_topics(settings.topics)]
    try:
        async with asyncio.timeout(seconds), group_offsets(settings) as offsets:
            while True:
                if _released(await offsets.read(settings.topics.group("processor"), wanted)):
                    return True
                await asyncio.sleep(RELEASE_POLL_SECONDS)
    except TimeoutError:
        return False


def _released(commits: Mapping[TopicPartition, OffsetAndMetadata]) -> bool:
    return all(read_watermark(commit.offset, commit.metadata or "").released for commit in commits.values())


async def take_over(
    settings: KafkaSettings,
    consumer: AIOKafkaConsumer,
    partition: int,
    transactions: LaneTransactions,
    prove: Callable[[AIOKafkaConsumer], Awaitable[None]] = prove_ownership,
    group_offsets: Callable[[KafkaSettings], GroupOffsets] = GroupOffsets,
) -> Takeover:
    """Opens the lane's transactions, which fences the former owner, reads its watermarks, and seeks there.

    Raises OffsetsForgotten; and one of KAFKA_FAILURES: try again later, with new transactions. Those that
    were handed in are closed then.
    """
    group = settings.topics.group("processor")
    wanted = [TopicPartition(topic, partition) for topic in lane_topics(settings.topics)]
    try:
        _check_assigned(consumer, [TopicPartition(topic, partition) for topic in settings.topics.rows])
        async with group_offsets(settings) as offsets:
            if not await offsets.read(group, wanted):
                await _check_not_forgotten(settings, consumer, offsets)
            await prove(consumer)
            await transactions.open()
            committed = {
                where: read_watermark(commit.offset, commit.metadata or "")
                for where, commit in (await offsets.read(group, wanted)).items()
            }
            jobs = TopicPartition(settings.topics.jobs, partition)
            known = committed if jobs in committed else committed | await _former_activations(settings, offsets, jobs)
        watermarks = {where.topic: await _with_known_horizon(consumer, where, known.get(where)) for where in wanted}
        for where in consumer.assignment().intersection(wanted):
            consumer.seek(where, watermarks[where.topic].offset)
    except BaseException:
        await transactions.close()
        raise
    clean = all(mark.released for mark in committed.values())
    return Takeover(transactions, watermarks, clean=clean, unowned=not committed)


async def _check_not_forgotten(settings: KafkaSettings, consumer: AIOKafkaConsumer, offsets: GroupOffsets) -> None:
    """Raises OffsetsForgotten when the group has no offsets of any lane although results have been written.

    Results are only ever written after a first commit of offsets. So a new installation, whose topic of results is
    empty, begins, and so does a lane of topics that have just grown, since the other lanes have offsets. Kafka forgets
    a group as a whole. The ends are asked for first: what was written since then came with a commit.
    """
    topics = settings.topics
    results = [TopicPartition(topics.results, partition) for partition in range(topics.partitions)]
    ends = await run_with_timeout(READ_SECONDS, consumer.end_offsets(results))
    if not any(ends.values()):
        return
    lanes = [TopicPartition(topic, index) for topic in lane_topics(topics) for index in range(topics.partitions)]
    if not await offsets.read(topics.group("processor"), lanes):
        raise OffsetsForgotten(
            f"Kafka has forgotten the offsets of group {topics.group('processor')}, but {topics.results} has records: "
            "from the beginning every row would be sent once more. Stop all processors, see where each lane has to go "
            f"on, and set it: {SHOW_COMMAND}, {SET_COMMAND}"
        )


async def _former_activations(
    settings: KafkaSettings, offsets: GroupOffsets, jobs: TopicPartition
) -> dict[TopicPartition, Watermark]:
    """Where the group stands that read the requests for activation up to 0.1.0: the lane goes on there, once."""
    try:
        found = await offsets.read(settings.topics.group("activation"), [jobs])
    except GroupAuthorizationFailedError:
        return {}  # a new installation, in which nobody may ask for it
    return {at: Watermark(commit.offset, commit.offset) for at, commit in found.items()}


def _check_assigned(consumer: AIOKafkaConsumer, wanted: list[TopicPartition]) -> None:
    """Raises IllegalStateError unless both topics of rows are here.

    If one topic has more partitions than another, the range assignor gives an index to two processors. They would
    fence each other for ever. `hospital.jobs` may be elsewhere while some processors are still of 0.1.0, which do not
    read it in this group: its requests wait until the last of them has gone, and rows do not.
    """
    if missing := [where for where in wanted if where not in consumer.assignment()]:
        raise IllegalStateError(f"not assigned here: {', '.join(f'{each.topic}-{each.partition}' for each in missing)}")


async def _with_known_horizon(
    consumer: AIOKafkaConsumer, where: TopicPartition, committed: Watermark | None
) -> Watermark:
    """The watermark to begin with. A horizon that is not known is put at the topic's present end."""
    if committed is None:
        beginning = (await run_with_timeout(READ_SECONDS, consumer.beginning_offsets([where])))[where]
        committed = Watermark(beginning, EVERYTHING)
    if committed.horizon != EVERYTHING:
        return committed
    end = (await run_with_timeout(READ_SECONDS, consumer.end_offsets([where])))[where]
    return replace(committed, horizon=max(end, committed.offset))
