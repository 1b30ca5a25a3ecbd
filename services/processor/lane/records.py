"""A delivered record becomes a row, or a dead letter."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka import ConsumerRecord

from services.processor.lane.row import Row
from services.processor.lane.transactions import OutgoingRecord
from services.processor.offsets.window import Place
from shared.contract.cloud_events import Headers, UndecodableEvent, decode, encode, header
from shared.contract.dead_letter_headers import dead_letter_headers
from shared.contract.events import RowAccepted, RowErrorCode, RowFailed, now
from shared.contract.topics import MAX_MESSAGE_BYTES, Topics

if TYPE_CHECKING:
    from services.processor.lane.lane import Lane

#: Numbers that every database takes.
_ROW_KEY: Final = re.compile(r"(.{1,255}):([0-9]{1,9})", re.DOTALL)
_ROUND: Final = re.compile(r".*:([0-9]{1,9})", re.DOTALL)
#: https://www.w3.org/TR/trace-context/#traceparent-header; anything else may not even be a header.
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

MAX_REASON_CHARACTERS: Final = 500
#: A dead letter carries its reason too: a record this large would make one that no topic takes.
MAX_KEPT_BYTES: Final = MAX_MESSAGE_BYTES - 8_192
#: What is kept of a larger one. All of it still stands where it was found.
KEPT_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """A record that cannot be read, with what can be said of it: it goes to the dead letters, and its row fails."""

    topic: str
    partition: int
    place: Place
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str

    def records(self, topics: Topics) -> list[OutgoingRecord]:
        """The dead letter, and the failed result of its row where the key names one."""
        letter = self._letter(topics)
        result = self._result()
        if result is None:
            return [letter]
        record = encode(result, "processor", _traceparent(self.headers))
        return [letter, (topics.results, record.key, record.value, record.headers)]

    def _letter(self, topics: Topics) -> OutgoingRecord:
        size = len(self.key or b"") + len(self.value or b"")
        size += sum(len(name) + len(value or b"") + 8 for name, value in self.headers)
        if size <= MAX_KEPT_BYTES:
            return topics.dead_letters, self.key, self.value, self._about(self.headers)
        key, value = (part and part[:KEPT_BYTES] for part in (self.key, self.value))
        return topics.dead_letters, key, value, [*self._about(()), ("shortened_from", str(size).encode())]

    def _about(self, received: Iterable[tuple[str, bytes]]) -> Headers:
        return dead_letter_headers(received, self.topic, self.partition, self.place.offset, self.reason)

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


Arrival = Row | DeadRecord


def read_record(record: ConsumerRecord, place: Place, lane: "Lane") -> Arrival:
    """The row in a record. What is no RowAccepted is dead."""
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
            str(error)[:MAX_REASON_CHARACTERS],
        )
    return Row(event, record.topic, place, lane, record.timestamp / 1000, _traceparent(record.headers))


def _traceparent(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    value = header(headers, "traceparent")
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
