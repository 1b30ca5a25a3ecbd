"""How far each partition has been projected: kept with the rows, changed in the same transaction as they."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import Connection, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.tables.bulk_writes import write
from services.status.tables.definitions import offsets


class OffsetsMoved(Exception):
    """Another replica has projected this partition meanwhile: read the stored offsets again, and go on from them."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A partition's way from one offset to the next."""

    topic: str
    partition: int
    expected: int
    reached: int


async def advance(connection: AsyncConnection, steps: Iterable[Step]) -> None:
    """Compare and set. Call it first in a transaction: other replicas that want the partition then wait for its end.

    Raises OffsetsMoved when a stored offset is not the expected one.
    """
    for step in sorted(steps):  # always in the same order, so that two replicas cannot wait for each other
        statement = (
            update(offsets)
            .where(offsets.c.topic == step.topic, offsets.c.partition == step.partition)
            .where(offsets.c.next_offset == step.expected)
            .values(next_offset=step.reached)
        )
        if (await connection.execute(statement)).rowcount != 1:
            raise OffsetsMoved(f"{step.topic}-{step.partition} is no longer at {step.expected}")


async def stored(connection: AsyncConnection, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The next offset of each partition that has one."""
    return await connection.run_sync(read_offsets, partitions)


def read_offsets(connection: Connection, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The same, as a question to the tables."""
    topics = {partition.topic for partition in partitions}
    found = connection.execute(select(offsets).where(offsets.c.topic.in_(topics)))
    every = {TopicPartition(topic, partition): offset for topic, partition, offset in found}
    return {partition: every[partition] for partition in partitions if partition in every}


async def begin(connection: AsyncConnection, beginnings: dict[TopicPartition, int]) -> None:
    """Stores where partitions begin that have never been projected; what another replica stored meanwhile stays."""
    values: list[dict[str, Any]] = [
        {"topic": partition.topic, "partition": partition.partition, "next_offset": offset}
        for partition, offset in beginnings.items()
    ]
    await write(connection, offsets, values)
