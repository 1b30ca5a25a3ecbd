"""Reads `hospital.jobs` for what is to be activated, as the group `hospital-activation`."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError, NoOffsetForPartitionError

from services.processor.activation.activations import Activation, Activations, requested_by
from services.processor.activation.group_lease import Tenure
from services.processor.offsets.watermark import Watermark
from services.processor.offsets.window import Window
from services.processor.settings import LaneSettings
from shared.contract.cloud_events import UndecodableEvent, decode

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
SEEK_SECONDS = 0.05
#: More requests than this are not held at a time.
WINDOW_RECORDS = 1_000
POLL_RECORDS = 100


class ActivationIntake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands requests over, and commits those that have been answered."""

    def __init__(self, settings: LaneSettings, activations: Activations) -> None:
        self._activations = activations
        # Kafka keeps a member for a session time-out after its last commit: until then nobody else has its share.
        self._lease_seconds = min(settings.lease_seconds, settings.session_timeout_ms / 1000)
        self._tenure = Tenure(self._lease_seconds, over=True)
        #: When a poll last came back (monotonic).
        self.last_poll: float | None = None
        self._subscriber: Any = None
        self._windows: dict[TopicPartition, Window] = {}
        self._committed: dict[TopicPartition, int] = {}

    def attach(self, subscriber: Any) -> None:
        """Names the subscriber whose consumer is read: its first assignment comes while it is starting."""
        self._subscriber = subscriber

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Polls until cancelled. Raises KafkaError when the consumer is of no more use."""
        timeout_ms = int(min(POLL_SECONDS, self._lease_seconds / 4) * 1000)
        while True:
            try:
                batch = await consumer.getmany(timeout_ms=timeout_ms, max_records=POLL_RECORDS)
            except NoOffsetForPartitionError:
                await asyncio.sleep(SEEK_SECONDS)  # each poll asks Kafka for the offset that we are about to seek
                continue
            finally:
                self.last_poll = time.monotonic()
            for partition in consumer.assignment():
                if partition in self._windows:
                    self._admit(partition, batch.get(partition, []), await consumer.position(partition))
            await self._commit(consumer)
            full = [partition for partition, window in self._windows.items() if len(window) >= WINDOW_RECORDS]
            consumer.resume(*(consumer.paused() - set(full)))
            consumer.pause(*full)

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """What is not answered yet is asked for again by the next owner."""
        self._end_tenure()
        for partition in revoked:
            self._windows.pop(partition, None)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Starts from the group's offsets; a group without any starts at the beginning."""
        consumer = self._subscriber.consumer
        self._end_tenure()  # a consumer that broke and was made anew has revoked nothing
        self._tenure = Tenure(self._lease_seconds)
        log.info("activations_assigned", partitions=sorted(partition.partition for partition in assigned))
        for partition in assigned:
            offset = await consumer.committed(partition)
            if offset is None:
                offset = (await consumer.beginning_offsets([partition]))[partition]
            self._windows[partition] = Window(Watermark(offset, offset))
            self._committed[partition] = offset
            consumer.seek(partition, offset)

    def _end_tenure(self) -> None:
        self._tenure.over = True
        self._activations.forget()

    def _admit(self, partition: TopicPartition, records: list[ConsumerRecord], position: int) -> None:
        window = self._windows[partition]
        for record in records:
            if record.offset < window.position or (place := window.admit(record.offset)) is None:
                continue
            # The window is this assignment's: an answer that comes after a rebalance finishes nothing of the next.
            wanted = _requests(record, self._tenure, partial(window.finish, place))
            for activation in wanted:
                self._activations.add(activation)
            if not wanted:
                window.finish(place)
        window.moved_to(position)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        tenure, began, offsets = self._tenure, time.monotonic(), self._offsets()
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:  # a rebalance: the next owner begins a little earlier
            log.info("activation_offsets_not_committed", reason=repr(error))
        else:
            self._committed.update(offsets)
            tenure.confirm(began)
            self._activations.renewed()

    def _offsets(self) -> dict[TopicPartition, int]:
        """What has to be committed; offsets that have not moved show that we are still a member."""
        to_show = self._tenure.needs_commit and any(window.unfinished for window in self._windows.values())
        return {
            partition: window.offset
            for partition, window in self._windows.items()
            if to_show or window.offset != self._committed[partition]
        }


def _requests(record: ConsumerRecord, tenure: Tenure, done: Callable[[], None]) -> list[Activation]:
    try:
        event = decode(record.headers, record.value)
    except UndecodableEvent:
        return []  # the status service gives it to the dead letters
    return requested_by(event, tenure, done)
