"""One partition: its batches, which transactions are open in it, and what each isolation level sees."""

import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiokafka.record.util import calc_crc32c

READ_COMMITTED: Final = 1
_COUNT_AT: Final = 23  # the last record's offset, counted from the batch's own
_HEAD: Final = struct.Struct(">qiibIhiqqqhii")
_CONTROL: Final = 0x30  # transactional, and a control record
_REMEMBERED_BATCHES: Final = 5


class Produced(NamedTuple):
    """What a batch says of its producer."""

    producer_id: int
    epoch: int
    sequence: int
    records: int
    transactional: bool


def read_head(data: bytes) -> Produced:
    """The producer's part of a batch's head (message format 2)."""
    head = _HEAD.unpack_from(data)
    return Produced(head[9], head[10], head[11], head[6] + 1, bool(head[5] & 0x10))


class OutOfOrder(ValueError):
    """A batch before this one is missing."""


@dataclass(slots=True)
class _Batch:
    offset: int
    end: int
    data: bytes


@dataclass(slots=True)
class _ProducerState:
    """The last batches of a producer here: one that is sent again is not written again."""

    epoch: int
    #: First sequence number, number of records, and offset of each.
    batches: list[tuple[int, int, int]] = field(default_factory=list)


class PartitionLog:
    """The records of one partition."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        #: First offsets of transactions that are open here, by producer.
        self.open: dict[int, int] = {}
        #: Of each aborted transaction: producer, first offset, and the offset of its marker.
        self.aborted: list[tuple[int, int, int]] = []
        self._batches: list[_Batch] = []
        self._producers: dict[int, _ProducerState] = {}

    @property
    def last_stable(self) -> int:
        """A read_committed reader gets nothing from here on."""
        return min(self.open.values(), default=self.end)

    def append(self, data: bytes) -> int:
        """Writes a batch; returns its offset, also of one that was written before. Raises OutOfOrder."""
        head = read_head(data)
        if head.producer_id >= 0:
            state = self._producers.get(head.producer_id)
            if state is None or state.epoch < head.epoch:
                state = self._producers[head.producer_id] = _ProducerState(head.epoch)
            for sequence, records, offset in state.batches:
                if (sequence, records) == (head.sequence, head.records):
                    return offset
            expected = sum(state.batches[-1][:2]) if state.batches else 0
            if head.sequence != expected:
                raise OutOfOrder(f"{head.sequence} in place of {expected}")
            state.batches = [*state.batches[1 - _REMEMBERED_BATCHES :], (head.sequence, head.records, self.end)]
            if head.transactional:
                self.open.setdefault(head.producer_id, self.end)
        return self._write(data, head.records)

    def end_transaction(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """Writes the marker of a transaction. It takes an offset, and is never delivered."""
        first = self.open.pop(producer_id, None)
        if first is not None and not commit:
            self.aborted.append((producer_id, first, self.end))
        self._write(_marker(producer_id, epoch, commit=commit), 1)
        state = self._producers.setdefault(producer_id, _ProducerState(epoch))
        if state.epoch < epoch:
            self._producers[producer_id] = _ProducerState(epoch)

    def _write(self, data: bytes, records: int) -> int:
        offset = self.end
        self._batches.append(_Batch(offset, offset + records, struct.pack(">q", offset) + data[8:]))
        self.end += records
        return offset

    def read(self, offset: int, isolation: int) -> tuple[bytes, list[tuple[int, int]]]:
        """The batches from the one that holds this offset on, and the aborted transactions among them."""
        limit = self.last_stable if isolation == READ_COMMITTED else self.end
        first = bisect_right(self._batches, offset, key=lambda batch: batch.end)
        batches = [batch for batch in self._batches[first : first + 200] if batch.offset < limit]
        if not batches:
            return b"", []
        until = batches[-1].end
        aborted = [(who, begun) for who, begun, marker in self.aborted if begun < until and marker >= offset]
        return b"".join(batch.data for batch in batches), aborted if isolation == READ_COMMITTED else []

    def delete_before(self, offset: int) -> None:
        """Retention: what is older is gone."""
        self.start = max(self.start, min(offset, self.end))
        self._batches = [batch for batch in self._batches if batch.end > self.start]


def _marker(producer_id: int, epoch: int, *, commit: bool) -> bytes:
    key, value = struct.pack(">hh", 0, int(commit)), struct.pack(">hi", 0, 0)
    # Attributes, timestamp and offset (0), key and value with their lengths (zigzag), no headers.
    record = b"\0\0\0" + bytes([len(key) * 2]) + key + bytes([len(value) * 2]) + value + b"\0"
    record = bytes([len(record) * 2]) + record
    now = 1_800_000_000_000
    body = struct.pack(">hiqqqhii", _CONTROL, 0, now, now, producer_id, epoch, -1, 1) + record
    return struct.pack(">qiibI", 0, len(body) + 9, 0, 2, calc_crc32c(body)) + body
