"""A delivered record becomes a row, or a dead letter."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import ConsumerRecord

from services.processor.commit import OutgoingRecord
from services.processor.row import Row
from services.processor.window import Place
from shared.cloud_events import UndecodableEvent, decode, encode, header
from shared.events import RowAccepted, RowErrorCode, RowFailed, now
from shared.topics import Topics

if TYPE_CHECKING:
    from services.processor.lane import Lane


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
        about = [
            ("reason", self.reason.encode()),
            ("topic", self.topic.encode()),
            ("partition", str(self.partition).encode()),
            ("offset", str(self.place.offset).encode()),
        ]
        letter: OutgoingRecord = (topics.dead_letters, self.key, self.value, [*self.headers, *about])
        result = self._result()
        if result is None:
            return [letter]
        record = encode(result, "processor", header(self.headers, "traceparent"))
        return [letter, (topics.results, record.key, record.value, record.headers)]

    def _result(self) -> RowFailed | None:
        job_id, _, row = (self.key or b"").decode(errors="replace").rpartition(":")
        if not (job_id and row.isdecimal() and int(row) >= 2):
            return None
        return RowFailed(
            tenant="",
            job_id=job_id,
            batch_id="",
            row=int(row),
            round=self._round(),
            name="",
            columns={},
            attempts=0,
            started_at=now(),
            code=RowErrorCode.UNDECODABLE,
            message=f"The row's event could not be read: {self.reason}. It is kept as a dead letter.",
        )

    def _round(self) -> int:
        number = (header(self.headers, "ce_id") or "").rpartition(":")[2]
        return max(int(number), 1) if number.isdecimal() else 1


Arrival = Row | DeadRecord


def read_record(record: ConsumerRecord, place: Place, lane: "Lane") -> Arrival:
    """The row in a record. What is no RowAccepted is dead."""
    try:
        event = decode(record.headers, record.value)
        if not isinstance(event, RowAccepted):
            raise UndecodableEvent(f"a {type(event).__name__} does not belong on {record.topic}")
    except UndecodableEvent as error:
        return DeadRecord(
            record.topic, record.partition, place, record.key, record.value, tuple(record.headers), str(error)
        )
    return Row(event, record.topic, place, lane, time.time(), header(record.headers, "traceparent"))
