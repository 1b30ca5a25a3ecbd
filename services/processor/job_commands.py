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


class JobCommands:
    """The cancelled jobs and the pause.

    `on_cancel` gets the ids of newly cancelled jobs. `on_change` is called when sending is paused or resumed, and when
    everything that was on the topic at the start has been read.
    """

    def __init__(
        self,
        on_cancel: Callable[[set[str]], None],
        on_change: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: The last cancelled round by job. Kept for ever: rows of a cancelled round may be delivered after a later one.
        self._cancelled: dict[str, int] = {}
        self._unannounced: set[str] = set()
        self._on_cancel = on_cancel
        self._on_change = on_change
        self._clock = clock
        self._paused = False
        self._read_from_the_start = False
        #: When the last poll returned (monotonic).
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

    def apply(self, records: Iterable[ConsumerRecord]) -> None:
        """Applies records of `hospital.jobs`. Other events, and what cannot be decoded, change nothing."""
        for record in records:
            self._apply(record)
        if self._read_from_the_start:
            self._announce_cancels()

    def caught_up(self) -> None:
        """Everything that was on the topic at the start has been read. Announces all cancelled jobs in one call."""
        self._read_from_the_start = True
        self._announce_cancels()
        self._on_change()

    def _announce_cancels(self) -> None:
        if self._unannounced:
            job_ids, self._unannounced = self._unannounced, set()
            self._on_cancel(job_ids)

    def _apply(self, record: ConsumerRecord) -> None:
        try:
            event = decode(record.headers, record.value)
        except UndecodableEvent:
            return  # the status service writes it to the dead letters
        match event:
            case JobCancelRequested():
                self._cancelled[event.job_id] = max(event.round, self._cancelled.get(event.job_id, 0))
                self._unannounced.add(event.job_id)
            case SendingPaused() | SendingResumed():
                self._paused = isinstance(event, SendingPaused)
                log.warning("sending_paused" if self._paused else "sending_resumed", by=event.requested_by)
                self._on_change()

    def restart(self) -> None:
        """Everything is read again. Nothing is sent meanwhile: an old resume may come before the pause that holds."""
        self._read_from_the_start = False

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Reads everything from the start, and goes on until cancelled.

        Raises one of KAFKA_FAILURES when the consumer has to be made anew.
        """
        self.restart()
        partitions = list(consumer.assignment())
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while True:
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                self.apply(records)
            self.last_poll = self._clock()
            if not self._read_from_the_start and await self._has_passed(consumer, ends):
                self.caught_up()

    @staticmethod
    async def _has_passed(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
        return all([await consumer.position(partition) >= end for partition, end in ends.items()])
