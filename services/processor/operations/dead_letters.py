"""The dead letters: listed for a person, exported for a repair.

A repaired row is uploaded again in a new file. Its old job keeps the failed result.
"""

import json
from collections.abc import AsyncIterator
from typing import TextIO

from aiokafka import ConsumerRecord, TopicPartition
from pydantic import BaseModel

from shared.contract.cloud_events import header
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.settings import KafkaSettings


class DeadLetter(BaseModel):
    """One dead letter: where it was found, why it could not be read, and its key and value as text."""

    offset: int
    reason: str
    topic: str
    partition: str
    original_offset: str
    key: str | None
    value: str | None

    def line(self) -> str:
        """One line for a terminal, tab-separated."""
        return f"{self.offset}\t{self.topic}-{self.partition}@{self.original_offset}\t{self.key}\t{self.reason}"


async def list_letters(settings: KafkaSettings, out: TextIO) -> int:
    """One line a letter: offset, where it stood, key, reason. Returns how many there are."""
    count = 0
    async for letter in _read(settings):
        out.write(letter.line() + "\n")
        count += 1
    return count


async def export_letters(settings: KafkaSettings, out: TextIO) -> int:
    """One JSON object a line, with the value as it was received. Returns how many there are."""
    count = 0
    async for letter in _read(settings):
        out.write(json.dumps(letter.model_dump()) + "\n")
        count += 1
    return count


async def _read(settings: KafkaSettings) -> AsyncIterator[DeadLetter]:
    """All dead letters up to the topic's present end, in order."""
    where = TopicPartition(settings.topics.dead_letters, 0)
    consumer = Consumer(**kafka_options.consumer_options(settings))
    try:
        await consumer.start()
        consumer.assign([where])
        await consumer.seek_to_beginning(where)
        end = (await consumer.end_offsets([where]))[where]
        while await consumer.position(where) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield _letter(record)
    finally:
        await consumer.stop()


def _letter(record: ConsumerRecord) -> DeadLetter:
    def about(name: str) -> str:
        return header(record.headers, name) or "?"

    return DeadLetter(
        offset=record.offset,
        reason=about("reason"),
        topic=about("topic"),
        partition=about("partition"),
        original_offset=about("offset"),
        key=record.key.decode(errors="replace") if record.key is not None else None,
        value=record.value.decode(errors="backslashreplace") if record.value is not None else None,
    )
