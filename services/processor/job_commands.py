"""What every processor has to know of all jobs: which are cancelled, and whether sending is paused.

Each processor reads all of `hospital.jobs`, without a group and from the start, before its first call.
"""

import time
from collections.abc import Callable, Iterable

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contract.cloud_events import UndecodableEvent, decode
from shared.contract.events import JobCancelRequested, SendingPaused, SendingResumed

log = structlog.get_logger(__name__)

POLL_MS = 500


class Notices:
    """Cancelled jobs and the pause. `on_cancel` hears of jobs, `on_change` of the pause and of being up to date."""

    def __init__(self, on_cancel: Callable[[set[str]], None], on_change: Callable[[], None]) -> None:
        #: Nothing is forgotten: a later round may end while rows of the cancelled one lie behind a backlog.
        self._cancelled: dict[str, int] = {}
        self._untold: set[str] = set()
        self._on_cancel = on_cancel
        self._on_change = on_change
        self._paused = False
        self._read_from_the_start = False
        #: When a poll last came back (monotonic).
        self.last_poll: float | None = None

    @property
    def may_send(self) -> bool:
        """False while sending is paused, and until everything that was known at the start has been read."""
        return self._read_from_the_start and not self._paused

    @property
    def paused(self) -> bool:
        """Whether an operator has paused all sending."""
        return self._paused

    def is_cancelled(self, job_id: str, round_: int) -> bool:
        """Whether rows of this round of the job are not to be sent any more."""
        return self._cancelled.get(job_id, 0) >= round_

    def take(self, records: Iterable[ConsumerRecord]) -> None:
        """Records of `hospital.jobs`."""
        for record in records:
            self._take(record)
        if self._read_from_the_start:
            self._tell_cancels()

    def caught_up(self) -> None:
        """Everything that was known at the start has been read: what has been cancelled ever is told at once."""
        self._read_from_the_start = True
        self._tell_cancels()
        self._on_change()

    def _tell_cancels(self) -> None:
        if self._untold:
            untold, self._untold = self._untold, set()
            self._on_cancel(untold)

    def _take(self, record: ConsumerRecord) -> None:
        try:
            event = decode(record.headers, record.value)
        except UndecodableEvent:
            return  # the status service gives it to the dead letters
        match event:
            case JobCancelRequested():
                self._cancelled[event.job_id] = max(event.round, self._cancelled.get(event.job_id, 0))
                self._untold.add(event.job_id)
            case SendingPaused() | SendingResumed():
                self._paused = isinstance(event, SendingPaused)
                log.warning("sending_paused" if self._paused else "sending_resumed", by=event.requested_by)
                self._on_change()

    def begin_anew(self) -> None:
        """Everything is read again: until then nobody knows whether an old resume or a later pause holds."""
        self._read_from_the_start = False

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Reads everything from the start, and then for ever. Raises KafkaError when the consumer is of no more use."""
        self.begin_anew()
        partitions = list(consumer.assignment())
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while True:
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                self.take(records)
            self.last_poll = time.monotonic()
            if not self._read_from_the_start and await self._has_passed(consumer, ends):
                self.caught_up()

    @staticmethod
    async def _has_passed(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
        return all([await consumer.position(partition) >= end for partition, end in ends.items()])
