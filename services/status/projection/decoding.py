"""Decodes records into a batch of events. What cannot be decoded becomes a dead letter, and a result fails its row."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from services.status.caller_priority import NO_CALLERS, CallerPriority
from services.status.metrics import DEAD_LETTERS
from services.status.model.report_times import as_received
from services.status.model.timestamps import Clock
from services.status.projection.event_batch import EventBatch, PositionedEvent
from services.status.tables.column_limits import LARGEST, check_column_limits
from shared.contract.cloud_events import UndecodableEvent, UnknownEventType, decode, header
from shared.contract.dead_letter_headers import dead_letter_headers
from shared.contract.events import (
    Event,
    JobEvent,
    ProcessorReported,
    RowCreated,
    RowErrorCode,
    RowEvent,
    RowFailed,
    RowUnprocessed,
    now,
)
from shared.contract.topics import Topics
from shared.runtime.kafka.publisher import Publisher

log = structlog.get_logger(__name__)

_SEND_SECONDS: Final = 10.0
_YIELD_EVERY_RECORDS: Final = 25


class DeadLetterWriter(Protocol):
    """Where records go that can never be read."""

    async def put(self, record: ConsumerRecord, reason: str) -> None:
        """Returns when the dead letter is written. Raises KafkaUnavailable: then read the record again."""


class DeadLetterTopic:
    """The topic of dead letters: the record as received, its reason, topic, partition and offset in headers."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    async def put(self, record: ConsumerRecord, reason: str) -> None:
        """Writes the dead letter. A record that is read twice makes two of them, which are the same."""
        where = TopicPartition(record.topic, record.partition)
        headers = dead_letter_headers(record.headers, where.topic, where.partition, record.offset, reason)
        await self._publisher.send_raw(self._topic, record.key, record.value, headers, timeout=_SEND_SECONDS)


class Decoder:
    """Decodes what was read, one record at a time, so that a bad one spoils no other."""

    def __init__(
        self,
        topics: Topics,
        dead_letters: DeadLetterWriter,
        priority: CallerPriority = NO_CALLERS,
        clock: Clock = now,
    ) -> None:
        self._topics = topics
        self._dead_letters = dead_letters
        self._priority = priority
        self._clock = clock

    async def decode(self, records: Iterable[ConsumerRecord], *, live: bool = False) -> EventBatch:
        """The events. `live`: the reports in them are new; they are not read again, as after a restart.

        Raises KafkaUnavailable when a dead letter could not be written.
        """
        batch = EventBatch()
        for number, record in enumerate(records):
            if number % _YIELD_EVERY_RECORDS == 0:
                await self._priority.yield_to_callers()  # thousands at once would keep callers of the API waiting
            event: Event | None
            try:
                event = _read(record)
            except UnknownEventType as unknown:
                log.debug("event_skipped", topic=record.topic, offset=record.offset, reason=str(unknown))
                continue
            except UndecodableEvent as error:
                event = await self._dead_letter(record, str(error))
            self._put(batch, record, event, live=live)
        return batch

    def _put(self, batch: EventBatch, record: ConsumerRecord, event: Event | None, *, live: bool) -> None:
        match event:
            case RowCreated() | RowFailed() | RowUnprocessed() if record.topic == self._topics.results:
                batch.results.append(event)
            case ProcessorReported() if record.topic == self._topics.processors:
                batch.reports.append(as_received(event, self._clock(), live=live))
            case JobEvent() if record.topic == self._topics.jobs and not isinstance(event, RowEvent):
                batch.job_events.append(PositionedEvent(record.partition, record.offset, event))

    async def _dead_letter(self, record: ConsumerRecord, reason: str) -> RowFailed | None:
        await self._dead_letters.put(record, reason)
        DEAD_LETTERS.labels(record.topic).inc()
        log.error(
            "record_undecodable", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        return failed_row(record, reason) if record.topic == self._topics.results else None


def failed_row(record: ConsumerRecord, reason: str) -> RowFailed | None:
    """A result for a row whose own cannot be read. None unless key (job) and ce_id (job:row:round) name the row."""
    job_id = (record.key or b"").decode(errors="replace")
    row, round_ = _row_and_round((header(record.headers, "ce_id") or "").removeprefix(f"{job_id}:").split(":"))
    if not job_id or "\0" in job_id or not 2 <= row <= LARGEST or round_ > LARGEST:
        return None
    # Kafka's clock, so that a record that is read twice gives the same result.
    moment = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return RowFailed(
        tenant="",
        job_id=job_id,
        batch_id="",
        row=row,
        round=round_,
        name="",
        columns={},
        attempts=0,
        occurred_at=moment,
        started_at=moment,
        code=RowErrorCode.UNDECODABLE,
        message=f"The result of this row could not be read, so look for it in the directory. {reason}",
    )


def _read(record: ConsumerRecord) -> Event:
    event = decode(record.headers, record.value)
    check_column_limits(event, record.value)
    return event


def _row_and_round(parts: Sequence[str]) -> tuple[int, int]:
    numbers = [int(part) if part.isdecimal() and part.isascii() else 0 for part in (*parts, "1")[:2]]
    return numbers[0], max(numbers[1], 1)
