"""Reads requests for activation from `hospital.jobs`, as the group `hospital-activation`."""

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
from services.processor.activation.group_lease import GroupLease
from services.processor.offsets.watermark import Watermark
from services.processor.offsets.window import Window
from services.processor.settings import LaneSettings
from shared.contract.cloud_events import UndecodableEvent, decode

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
SEEK_SECONDS = 0.05
#: The most records of a partition that are held at a time.
WINDOW_RECORDS = 1_000
POLL_RECORDS = 100


class ActivationConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands requests to `activations`, and commits the offsets of those that have been answered."""

    def __init__(
        self, settings: LaneSettings, activations: Activations, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._activations = activations
        self._clock = clock
        # Kafka keeps a member for a session time-out after its last commit: nobody else has its partitions before.
        self._lease_seconds = min(settings.lease_seconds, settings.session_timeout_ms / 1000)
        self._lease = GroupLease(self._lease_seconds, ended=True, clock=clock)
        #: When the last poll returned (monotonic).
        self.last_poll: float | None = None
        self._subscriber: Any = None
        self._windows: dict[TopicPartition, Window] = {}
        self._committed: dict[TopicPartition, int] = {}

    def attach(self, subscriber: Any) -> None:
        """Sets the subscriber whose consumer is read. Needed before it starts: that brings an assignment."""
        self._subscriber = subscriber

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Polls until cancelled. Raises KafkaError when the consumer has to be made anew."""
        timeout_ms = int(min(POLL_SECONDS, self._lease_seconds / 4) * 1000)
        while True:
            try:
                batch = await consumer.getmany(timeout_ms=timeout_ms, max_records=POLL_RECORDS)
            except NoOffsetForPartitionError:
                await asyncio.sleep(SEEK_SECONDS)  # each such poll asks Kafka for an offset
                continue
            finally:
                self.last_poll = self._clock()
            for partition in consumer.assignment():
                if partition in self._windows:
                    self._admit(partition, batch.get(partition, []), await consumer.position(partition))
            await self._commit(consumer)
            full = [partition for partition, window in self._windows.items() if len(window) >= WINDOW_RECORDS]
            consumer.resume(*(consumer.paused() - set(full)))
            consumer.pause(*full)

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Ends the lease: requests without an answer are read again by the next owner."""
        self._end_lease()
        for partition in revoked:
            self._windows.pop(partition, None)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Starts from the group's offsets, or at the beginning of a partition without one."""
        consumer = self._subscriber.consumer
        self._end_lease()  # a consumer that was made anew after an error has not revoked anything
        self._lease = GroupLease(self._lease_seconds, clock=self._clock)
        log.info("activations_assigned", partitions=sorted(partition.partition for partition in assigned))
        for partition in assigned:
            offset = await consumer.committed(partition)
            if offset is None:
                offset = (await consumer.beginning_offsets([partition]))[partition]
            self._windows[partition] = Window(Watermark(offset, offset))
            self._committed[partition] = offset
            consumer.seek(partition, offset)

    def _end_lease(self) -> None:
        self._lease.ended = True
        self._activations.drop_ended()

    def _admit(self, partition: TopicPartition, records: list[ConsumerRecord], position: int) -> None:
        window = self._windows[partition]
        for record in records:
            if record.offset < window.position or (place := window.admit(record.offset)) is None:
                continue
            # Bound to this assignment's window: an answer after a rebalance must not finish a record of the next.
            requests = _requests(record, self._lease, partial(window.finish, place))
            for activation in requests:
                self._activations.add(activation)
            if not requests:
                window.finish(place)
        window.moved_to(position)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        lease, began, offsets = self._lease, self._clock(), self._offsets()
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:  # a rebalance: the next owner repeats some requests
            log.info("activation_offsets_not_committed", reason=repr(error))
        else:
            self._committed.update(offsets)
            lease.renew(began)
            self._activations.lease_renewed()

    def _offsets(self) -> dict[TopicPartition, int]:
        """The offsets to commit. With requests waiting, also offsets that have not moved: that renews the lease."""
        to_renew = self._lease.needs_renewal and any(window.unfinished for window in self._windows.values())
        return {
            partition: window.offset
            for partition, window in self._windows.items()
            if to_renew or window.offset != self._committed[partition]
        }


def _requests(record: ConsumerRecord, lease: GroupLease, done: Callable[[], None]) -> list[Activation]:
    try:
        event = decode(record.headers, record.value)
    except UndecodableEvent:
        return []  # the status service gives it to the dead letters
    return requested_by(event, lease, done)
