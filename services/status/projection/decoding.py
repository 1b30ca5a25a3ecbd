"""Decodes records into a batch of events. What cannot be decoded becomes a dead letter, and a result fails its row.

no ce_type, no such event, more than the tables keep, another topic's event   dead letter, log line
a type of event that this version does not know                               counted, one log line a type
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog
from aiokafka import ConsumerRecord

from services.status.caller_priority import NO_CALLERS, CallerPriority
from services.status.metrics import DEAD_LETTERS, UNKNOWN_EVENTS
from services.status.model.report_times import as_received
from services.status.model.timestamps import Clock
from services.status.projection.event_batch import EventBatch, PositionedEvent
from services.status.tables.column_limits import (
    EARLIEST,
    LARGEST,
    LARGEST_ROUND,
    LATEST,
    LONGEST_ID,
    check_column_limits,
)
from shared.contract.cloud_events import UndecodableEvent, UnknownEventType, decode, header
from shared.contract.dead_letters import dead_letter, readable
from shared.contract.events import (
    Event,
    JobEvent,
    ProcessorReported,
    RowCreated,
    RowErrorCode,
    RowEvent,
    RowFailed,
    RowResult,
    RowUnprocessed,
    SendingEvent,
    now,
)
from shared.contract.topics import Topics
from shared.runtime.kafka.publisher import Publisher

log = structlog.get_logger(__name__)

_SEND_SECONDS: Final = 10.0
_YIELD_EVERY_RECORDS: Final = 25
_LATEST_MS: Final = (LATEST - EARLIEST) // timedelta(milliseconds=1) - 1
#: Types of events that are logged, and how much of their names: anybody could make up more.
_MOST_TYPES: Final = 100
_LONGEST_TYPE: Final = 100


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
        where = record.topic, record.partition, record.offset
        key, value, headers = dead_letter(record.key, record.value, record.headers, where, reason)
        await self._publisher.send_raw(self._topic, key, value, headers, timeout=_SEND_SECONDS)


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
        self._unknown_types: set[str] = set()

    async def decode(self, records: Iterable[ConsumerRecord], *, live: bool = False, again: bool = False) -> EventBatch:
        """The events. `live`: the reports in them are new; they are not read again, as after a restart.

        `again`: these records have been decoded before, so their dead letters are there.
        Raises KafkaUnavailable when a dead letter could not be written.
        """
        batch = EventBatch()
        for number, record in enumerate(records):
            if number % _YIELD_EVERY_RECORDS == 0:
                await self._priority.yield_to_callers()  # thousands at once would keep callers of the API waiting
            event: Event | None
            try:
                event = self._read(record)
            except UnknownEventType:
                if not again:
                    self._count_unknown(record)
                continue
            except UndecodableEvent as error:
                event = self._failed(record, str(error)) if again else await self.dead_letter(record, str(error))
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

    def _read(self, record: ConsumerRecord) -> Event:
        try:
            event = decode(record.headers, record.value)
        except UnknownEventType:
            if not header(record.headers, "ce_type"):
                raise UndecodableEvent("no ce_type says which event it is") from None
            raise
        check_column_limits(event, record.value)
        if not self._belongs(event, record.topic):
            raise UndecodableEvent(f"{type(event).__name__} does not belong on this topic")
        return event

    def _belongs(self, event: Event, topic: str) -> bool:
        match event:
            case RowResult():
                return topic == self._topics.results
            case RowEvent():
                return False
            case JobEvent() | SendingEvent():
                return topic == self._topics.jobs
            case _:
                return topic == self._topics.processors

    def _count_unknown(self, record: ConsumerRecord) -> None:
        UNKNOWN_EVENTS.labels(record.topic).inc()
        name = (header(record.headers, "ce_type") or "")[:_LONGEST_TYPE]
        if name not in self._unknown_types and len(self._unknown_types) < _MOST_TYPES:
            self._unknown_types.add(name)
            log.warning(
                "event_type_unknown",
                type=name,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                next="skipped: a newer version writes it. Rebuild the tables after the upgrade of this service",
            )

    async def dead_letter(self, record: ConsumerRecord, reason: str) -> RowFailed | None:
        """Puts a record aside. Returns the result of its row when it is one. Raises KafkaUnavailable."""
        reason = readable(reason)
        await self._dead_letters.put(record, reason)
        DEAD_LETTERS.labels(record.topic).inc()
        log.error(
            "record_undecodable", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        return self._failed(record, reason)

    def _failed(self, record: ConsumerRecord, reason: str) -> RowFailed | None:
        return failed_row(record, readable(reason)) if record.topic == self._topics.results else None


def failed_row(record: ConsumerRecord, reason: str) -> RowFailed | None:
    """A result for a row whose own cannot be read. None unless key (job) and ce_id (job:row:round:…) name it."""
    job_id = (record.key or b"").decode(errors="replace")
    row, round_ = _row_and_round((header(record.headers, "ce_id") or "").removeprefix(f"{job_id}:").split(":"))
    if not job_id or "\0" in job_id or len(job_id.encode()) > LONGEST_ID:
        return None
    if not 2 <= row <= LARGEST or round_ > LARGEST_ROUND:
        return None
    # The record's time, so that a record that is read twice gives the same result. Its writer may have set any.
    moment = EARLIEST + timedelta(milliseconds=min(max(record.timestamp, 0), _LATEST_MS))
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


def _row_and_round(parts: Sequence[str]) -> tuple[int, int]:
    numbers = [int(part) if part.isdecimal() and part.isascii() else 0 for part in (*parts, "1")[:2]]
    return numbers[0], max(numbers[1], 1)
