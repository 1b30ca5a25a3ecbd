"""Reads hospital.jobs for the webhooks, in a group of its own: whatever receivers do, nothing else waits for them.

    group hospital-webhooks · topic hospital.jobs · read_committed · at least once

A new group begins at the end: nobody wants to be told of last year's jobs. Whoever gets a partition goes on after the
last commit, and knows from its metadata what has been delivered since (`delivery_window`).
"""

import asyncio
import contextlib
from typing import Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from services.status.webhooks.deliveries import Deliveries, Message
from services.status.webhooks.delivery_window import DeliveryWindow
from shared.contract.cloud_events import UndecodableEvent, decode, header
from shared.contract.events import JobFinished
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.group_offsets import GroupOffsets
from shared.runtime.kafka.rebalances import RebalanceListener
from shared.runtime.kafka.topic_admin import wait_for_topics
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

PURPOSE: Final = "webhooks"
_POLL_MS: Final = 200
_RETRY_SECONDS: Final = 1.0
_COMMIT_SECONDS: Final = 1.0
_KAFKA_SECONDS: Final = 5.0


class WebhookConsumer(RebalanceListener):
    """This replica's partitions of hospital.jobs, and the messages of them that are under way."""

    def __init__(self, settings: KafkaSettings, deliveries: Deliveries) -> None:
        self._settings = settings
        self._group = settings.topics.group(PURPOSE)
        self._deliveries = deliveries
        self._windows: dict[TopicPartition, DeliveryWindow] = {}
        self._unplaced: set[TopicPartition] = set()
        self._under_way: dict[asyncio.Task[None], TopicPartition] = {}
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._consumer: Consumer | None = None

    async def run(self) -> None:
        """Works until cancelled; begins again after any failure of Kafka."""
        while True:
            try:
                await wait_for_topics(self._settings)
                await self._consume()
            except KAFKA_FAILURES as error:
                log.warning("webhook_consumer_restarts", reason=str(error) or type(error).__name__)
            except Exception as error:  # a bug must not end the work in silence
                log.error("webhook_consumer_fault", exc_info=error)
            await asyncio.sleep(_RETRY_SECONDS)

    # ---- which partitions are ours -----------------------------------------------------------------------------------

    def revoke(self) -> None:
        """Whoever gets them delivers what is under way here."""
        for task in self._under_way:
            task.cancel()
        self._under_way, self._windows, self._unplaced, self._committed = {}, {}, set(), {}

    def assign(self, assigned: set[TopicPartition]) -> None:
        """Only notes them: the heartbeat waits for this."""
        self.revoke()
        self._unplaced = set(assigned)
        if self._consumer is not None and assigned:
            self._consumer.pause(*assigned)

    async def _place(self, consumer: Consumer) -> None:
        """Goes on after the last commit; at the end where there is none, and says so to Kafka at once."""
        unplaced = self._unplaced
        if not unplaced:
            return
        async with GroupOffsets(self._settings) as offsets:
            known = await offsets.read(self._group, unplaced)
        ends = await run_with_timeout(_KAFKA_SECONDS, consumer.end_offsets(list(unplaced)))
        if self._unplaced is not unplaced:
            return  # a rebalance came in between
        for at in unplaced:
            commit = known.get(at)
            window = DeliveryWindow(commit.offset, commit.metadata) if commit else DeliveryWindow(ends[at])
            self._windows[at] = window
            consumer.seek(at, window.position)
        self._unplaced = set()
        consumer.resume(*unplaced)
        await self._commit(consumer)

    # ---- work --------------------------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        self._consumer = consumer = Consumer(
            **kafka_options.consumer_options(self._settings),
            group_id=self._group,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
        )
        loop, committed_at = asyncio.get_running_loop(), 0.0
        try:
            await consumer.start()
            consumer.subscribe([self._settings.topics.jobs], listener=self)
            while True:
                self.check_assignment()
                await self._place(consumer)
                await self._poll(consumer)
                if loop.time() - committed_at >= _COMMIT_SECONDS:
                    committed_at = loop.time()
                    await self._commit(consumer)
        finally:
            with contextlib.suppress(*KAFKA_FAILURES):
                await self._commit(consumer)
            self._consumer = None
            self.revoke()
            await consumer.stop(_KAFKA_SECONDS)

    async def _poll(self, consumer: Consumer) -> None:
        try:
            found = await consumer.getmany(timeout_ms=_POLL_MS)
        except NoOffsetForPartitionError:
            return  # of a partition that has just been assigned
        except OffsetOutOfRangeError as error:
            await self._go_to_beginning(consumer, set(error.args[0]))
            return
        for at, window in list(self._windows.items()):
            for record in found.get(at, []):
                self._admit(at, window, record)
            with contextlib.suppress(IllegalStateError):  # a rebalance has just begun
                window.advance(await consumer.position(at))  # known already: does not wait

    async def _go_to_beginning(self, consumer: Consumer, partitions: set[TopicPartition]) -> None:
        """Records were deleted before they were delivered: the housekeeping does not do that, a person may."""
        ours = partitions & self._windows.keys()
        beginnings = await run_with_timeout(_KAFKA_SECONDS, consumer.beginning_offsets(list(ours)))
        for at in ours & self._windows.keys():
            log.error("webhooks_missing", partition=at.partition, from_offset=self._windows[at].position)
            self._windows[at].advance(beginnings[at])
            consumer.seek(at, beginnings[at])

    def _admit(self, at: TopicPartition, window: DeliveryWindow, record: ConsumerRecord) -> None:
        if header(record.headers, "ce_type") != JobFinished.__name__:
            return
        try:
            event = decode(record.headers, record.value)
        except UndecodableEvent:
            return  # the projection makes a dead letter of it
        if not isinstance(event, JobFinished) or not self._deliveries.concerns(event.tenant):
            return
        if window.admit(record.offset):
            task = asyncio.create_task(self._deliver(window, Message(event, record)))
            self._under_way[task] = at
            task.add_done_callback(lambda done: self._under_way.pop(done, None))

    async def _deliver(self, window: DeliveryWindow, message: Message) -> None:
        while True:
            try:
                await self._deliveries.deliver(message)
            except Exception as error:  # a bug must not end a message in silence
                log.error("webhook_fault", job_id=message.event.job_id, exc_info=error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                window.finish(message.record.offset)
                return

    async def _commit(self, consumer: Consumer) -> None:
        """Commits what has changed. Raises one of KAFKA_FAILURES: then the group may have gone on without us."""
        offsets = {at: OffsetAndMetadata(*window.commit()) for at, window in self._windows.items()}
        changed = {at: commit for at, commit in offsets.items() if self._committed.get(at) != commit}
        if changed:
            await run_with_timeout(_KAFKA_SECONDS, consumer.commit(changed))
            self._committed |= changed
