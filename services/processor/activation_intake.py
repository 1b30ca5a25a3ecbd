"""Reads `hospital.jobs` for what is to be activated, as the group `hospital-activation`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError, NoOffsetForPartitionError

from services.processor.activation import Activation, Activations, requested_by
from services.processor.watermark import Watermark
from services.processor.window import Window
from shared.cloud_events import UndecodableEvent, decode

log = structlog.get_logger(__name__)

POLL_MS = 500
#: More requests than this are not held at a time.
WINDOW_RECORDS = 1_000
POLL_RECORDS = 100


class ActivationIntake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands requests over, and commits those that have been answered."""

    def __init__(self, activations: Activations) -> None:
        self._activations = activations
        self._subscriber: Any = None
        self._windows: dict[TopicPartition, Window] = {}
        self._committed: dict[TopicPartition, int] = {}

    def attach(self, subscriber: Any) -> None:
        """Names the subscriber whose consumer is read: its first assignment comes while it is starting."""
        self._subscriber = subscriber

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Polls until cancelled. Raises KafkaError when the consumer is of no more use."""
        while True:
            try:
                batch = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            except NoOffsetForPartitionError:
                continue  # the seek of the new assignment is still to come
            for partition in consumer.assignment():
                if partition in self._windows:
                    self._admit(partition, batch.get(partition, []), await consumer.position(partition))
            await self._commit(consumer)
            full = [partition for partition, window in self._windows.items() if len(window) >= WINDOW_RECORDS]
            consumer.resume(*(consumer.paused() - set(full)))
            consumer.pause(*full)

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """What is not answered yet is asked for again by the next owner."""
        for partition in revoked:
            self._windows.pop(partition, None)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Starts from the group's offsets; a group without any starts at the beginning."""
        consumer = self._subscriber.consumer
        for partition in assigned:
            offset = await consumer.committed(partition)
            if offset is None:
                offset = (await consumer.beginning_offsets([partition]))[partition]
            self._windows[partition] = Window(Watermark(offset, offset))
            self._committed[partition] = offset
            consumer.seek(partition, offset)

    def _admit(self, partition: TopicPartition, records: list[ConsumerRecord], position: int) -> None:
        window = self._windows[partition]
        for record in records:
            if record.offset < window.position or (place := window.admit(record.offset)) is None:
                continue
            # The window is this assignment's: an answer that comes after a rebalance finishes nothing of the next.
            wanted = _requests(record, partial(window.finish, place))
            for activation in wanted:
                self._activations.add(activation)
            if not wanted:
                window.finish(place)
        window.moved_to(position)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        offsets = {
            partition: window.offset
            for partition, window in self._windows.items()
            if window.offset != self._committed[partition]
        }
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:  # a rebalance: the next owner begins a little earlier
            log.info("activation_offsets_not_committed", reason=repr(error))
        else:
            self._committed.update(offsets)


def _requests(record: ConsumerRecord, done: Callable[[], None]) -> list[Activation]:
    try:
        event = decode(record.headers, record.value)
    except UndecodableEvent:
        return []  # the status service gives it to the dead letters
    return requested_by(event, done)
