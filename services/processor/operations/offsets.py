"""Where the lanes go on: shown, and set by hand when Kafka has forgotten it or rows are missing.

offsets show                                      a line for each partition of the lanes' topics
offsets set --all --to beginning|end              every partition
offsets set --topic T --partition N --to OFFSET   one of them
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from services.processor.offsets.watermark import EVERYTHING, read_watermark
from services.processor.subscriptions import lane_topics
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.group_offsets import GroupOffsets
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

_KAFKA_SECONDS: Final = 10.0


class OffsetsRefused(RuntimeError):
    """The offsets were not set; the message says why."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition of a lane's topic: what its group has committed, and what the topic holds."""

    at: TopicPartition
    committed: OffsetAndMetadata | None
    beginning: int
    end: int

    def line(self) -> str:
        """One line for a terminal, tab-separated."""
        name = f"{self.at.topic}-{self.at.partition}"
        if self.committed is None:
            return f"{name}\t-\t{self.beginning}\t{self.end}\t{self.end - self.beginning}\t-"
        mark = read_watermark(self.committed.offset, self.committed.metadata or "")
        horizon = "all" if mark.horizon == EVERYTHING else str(mark.horizon)
        return f"{name}\t{mark.offset}\t{self.beginning}\t{self.end}\t{max(self.end - mark.offset, 0)}\t{horizon}"


async def show_offsets(settings: KafkaSettings, out: TextIO) -> int:
    """One line a partition: committed offset, beginning, end, lag, horizon. Returns how many partitions there are.

    Rows from the committed offset to the horizon may have been sent.
    """
    states = await _states(settings)
    out.write("partition\tcommitted\tbeginning\tend\tlag\thorizon\n")
    out.writelines(state.line() + "\n" for state in states.values())
    return len(states)


async def set_offsets(settings: KafkaSettings, to: str, topic: str | None, partition: int | None, out: TextIO) -> int:
    """Commits `to` (an offset, `beginning` or `end`) for one partition, or for all of them when none is named.

    Writes a line for each, and returns how many there are. What lies behind such an offset is looked up before it is
    sent. Raises OffsetsRefused: also while the group has members, who would go on from what they know.
    """
    async with GroupOffsets(settings) as group:
        if members := await group.members(settings.topics.group("processor")):
            raise OffsetsRefused(f"{members} processors are running: stop them all first")
    states = await _states(settings)
    chosen = _chosen(states, topic, partition)
    if len(chosen) < len(states) and not any(state.committed for state in states.values()):
        raise OffsetsRefused("the group has no offsets at all: set them with --all first, then one by one")
    targets = {at: _target(state, to) for at, state in chosen.items()}
    await _commit(settings, targets)
    for at, offset in targets.items():
        before = states[at].committed
        out.write(f"{at.topic}-{at.partition}\t{before.offset if before else '-'} -> {offset}\n")
    return len(targets)


def _chosen(
    states: Mapping[TopicPartition, PartitionState], topic: str | None, partition: int | None
) -> dict[TopicPartition, PartitionState]:
    if topic is None or partition is None:
        return dict(states)
    at = TopicPartition(topic, partition)
    if at not in states:
        known = ", ".join(dict.fromkeys(each.topic for each in states))
        raise OffsetsRefused(f"{topic}-{partition} is no partition of a lane; its topics are {known}")
    return {at: states[at]}


def _target(state: PartitionState, to: str) -> int:
    if to in ("beginning", "end"):
        return state.beginning if to == "beginning" else state.end
    if not to.isdecimal() or not state.beginning <= int(to) <= state.end:
        name = f"{state.at.topic}-{state.at.partition}"
        raise OffsetsRefused(f"{to} is no offset of {name}, which holds {state.beginning} to {state.end}")
    return int(to)


async def _states(settings: KafkaSettings) -> dict[TopicPartition, PartitionState]:
    topics = settings.topics
    wanted = [TopicPartition(topic, index) for topic in lane_topics(topics) for index in range(topics.partitions)]
    async with GroupOffsets(settings) as group:
        committed = await group.read(topics.group("processor"), wanted)
    consumer = Consumer(**kafka_options.consumer_options(settings))
    try:
        await run_with_timeout(_KAFKA_SECONDS, consumer.start())
        beginnings = await run_with_timeout(_KAFKA_SECONDS, consumer.beginning_offsets(wanted))
        ends = await run_with_timeout(_KAFKA_SECONDS, consumer.end_offsets(wanted))
    finally:
        await consumer.stop()
    return {at: PartitionState(at, committed.get(at), beginnings[at], ends[at]) for at in wanted}


async def _commit(settings: KafkaSettings, targets: Mapping[TopicPartition, int]) -> None:
    """Kafka takes a commit from outside only while the group has no members."""
    group = settings.topics.group("processor")
    consumer = Consumer(**kafka_options.consumer_options(settings), group_id=group)
    try:
        await run_with_timeout(_KAFKA_SECONDS, consumer.start())
        consumer.assign(list(targets))
        await run_with_timeout(_KAFKA_SECONDS, consumer.commit(dict(targets)))
    finally:
        await consumer.stop()
