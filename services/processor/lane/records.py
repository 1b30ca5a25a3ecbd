"""Reads a delivered record: it becomes a row, or a dead letter."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aiokafka import ConsumerRecord

from services.processor.lane.row import DeliveredRow
from services.processor.memory.sizes import COPIES, charge
from services.processor.offsets.window import Place
from shared.contract.cloud_events import UndecodableEvent, decode, encode, header
from shared.contract.dead_letters import dead_letter, readable
from shared.contract.events import RowAccepted, RowErrorCode, RowFailed, now
from shared.contract.topics import Topics
from shared.runtime.kafka.fenced_transactions import OutgoingRecord

#: At most 9 digits: larger numbers do not fit into every database's integer.
_ROW_KEY: Final = re.compile(r"(.{1,255}):([0-9]{1,9})", re.DOTALL)
_ROUND: Final = re.compile(r".*:([0-9]{1,9})", re.DOTALL)
#: https://www.w3.org/TR/trace-context/#traceparent-header. Anything else may not be sendable as an HTTP header.
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

#: Of a row with a larger record the cells stay in the record until the result is written: as strings 500 short ones
#: take nine times the room.
WIDE_BYTES: Final = 512
_NOTHING_UPLOADED: Final[dict[str, object]] = {"cells": (), "columns": None}


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """A record that cannot be read, as it was received, with the reason."""

    topic: str
    partition: int
    place: Place
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str

    @property
    def charge(self) -> int:
        """The bytes that it is charged until it is committed."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return charge(self.key, self.value) + COPIES * headers

    def records(self, topics: Topics) -> list[OutgoingRecord]:
        """The dead letter; and the failed result of its row, if the record's key names one."""
        where = self.topic, self.partition, self.place.offset
        letter = topics.dead_letters, *dead_letter(self.key, self.value, self.headers, where, self.reason)
        result = self._result()
        if result is None:
            return [letter]
        record = encode(result, "processor", _traceparent(self.headers))
        return [letter, (topics.results, record.key, record.value, record.headers)]

    def _result(self) -> RowFailed | None:
        named = _ROW_KEY.fullmatch((self.key or b"").decode(errors="replace"))
        if named is None or int(named[2]) < 2:
            return None
        return RowFailed(
            tenant="",
            job_id=named[1],
            batch_id="",
            row=int(named[2]),
            round=self._round(),
            name="",
            columns={},
            attempts=0,
            started_at=now(),
            code=RowErrorCode.UNDECODABLE,
            message=f"The row's event could not be read: {self.reason}. It is kept as a dead letter.",
        )

    def _round(self) -> int:
        named = _ROUND.fullmatch(header(self.headers, "ce_id") or "")
        return max(int(named[1]), 1) if named else 1


Delivered = DeliveredRow | DeadRecord


def read_record(record: ConsumerRecord, place: Place) -> Delivered:
    """The row in a record, or a DeadRecord when the record is no readable RowAccepted."""
    try:
        event = decode(record.headers, record.value)
        if not isinstance(event, RowAccepted):
            raise UndecodableEvent(f"a {type(event).__name__} does not belong on {record.topic}")
    except UndecodableEvent as error:
        return DeadRecord(
            record.topic,
            record.partition,
            place,
            record.key,
            record.value,
            tuple(record.headers),
            readable(str(error)),
        )
    value = None
    if len(record.value) >= WIDE_BYTES:
        value = record.value
        event = event.model_copy(update=_NOTHING_UPLOADED)
    return DeliveredRow(
        event,
        record.topic,
        place,
        record.timestamp / 1000,
        _traceparent(record.headers),
        charge=charge(record.key, record.value),
        value=value,
    )


def _traceparent(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    value = header(headers, "traceparent")
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
