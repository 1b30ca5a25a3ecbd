"""A tenant's created rows in memory, and as a file for the processes that read large uploads: 16 bytes a row.

In memory each job takes some 250 bytes more, since its last chunk may still grow.

Rows lie in buckets by the first bits of their hashes. So one is found by looking through a few, and a part of all
hashes is a piece of the file.
"""

import sys
from array import array
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from struct import Struct
from typing import Final

from services.ingest.created_rows.chunks import HASH_BYTES, Chunk
from services.ingest.row_matching.created_before import CreatedRow
from services.ingest.row_matching.duplicates import HASH_BITS, HashRange

#: Hash, number of the job, row.
_RECORD: Final = Struct("<QII")
#: More rows in a bucket, on average, and there are four times as many buckets from then on.
_BUCKET_ROWS: Final = 128
#: So many buckets are read at a time, some 4 MB at most.
_PIECE_BUCKETS: Final = 2_048
_JOB_ID_BYTES: Final = 36


class CreatedIndex:
    """Created rows in memory. Rows are only added; a row that is added while others are looked for is found or not.

    `key`: of the hashes. `expected`: about how many rows there will be.
    """

    def __init__(self, key: bytes, expected: int = 0) -> None:
        self.key = key
        bits = 0
        while expected > _BUCKET_ROWS << bits:
            bits += 2
        #: The buckets, and how many bits of a hash say which. Replaced together.
        self._buckets = _empty(bits), bits
        self._jobs = bytearray()
        self._last_job = b""
        #: Of each chunk that may still grow: how many of its rows are here.
        self._open: dict[tuple[str, int], int] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, chunk: Chunk) -> None:
        """Adds those rows of the chunk that are not here yet."""
        place = chunk.job_id, chunk.part
        here = self._open.get(place, 0)
        self._open[place] = chunk.size
        self._grow(self._size + chunk.size - here)
        buckets, bits = self._buckets
        shift, pack, job = HASH_BITS - bits, _RECORD.pack, self._job(chunk.job_id)
        for number, row in zip(_numbers("Q", chunk.hashes)[here:], _numbers("I", chunk.rows)[here:], strict=True):
            buckets[number >> shift] += pack(number, job, row)
        self._size += chunk.size - here

    def __contains__(self, row_hash: object) -> bool:
        """Whether a created row has this hash."""
        return isinstance(row_hash, int) and self._place(row_hash) >= 0

    def within(self, hashes: HashRange, wanted: Sequence[int]) -> Container[int]:  # noqa: ARG002 - for any alike
        """The hashes that a created row has."""
        return self if self._size else frozenset()

    def find(self, row_hash: int) -> CreatedRow | None:
        """The created row with this hash, the one that was added last."""
        place = self._place(row_hash)
        if place < 0:
            return None
        buckets, bits = self._buckets
        return _created(bytes(buckets[row_hash >> HASH_BITS - bits][place : place + _RECORD.size]), self._jobs)

    def save(self, path: Path) -> "CreatedFile":
        """Writes the rows to a file. Nothing may be added meanwhile."""
        buckets, bits = self._buckets
        with path.open("wb") as file:
            file.writelines(buckets)
            file.write(self._jobs)
        ends = array("I", accumulate(len(bucket) // _RECORD.size for bucket in buckets))
        return CreatedFile(self.key, path, bits, ends)

    def _place(self, number: int) -> int:
        """Where the last record with this hash begins in its bucket; -1 when there is none."""
        buckets, bits = self._buckets
        bucket, sought = buckets[number >> HASH_BITS - bits], number.to_bytes(HASH_BYTES, "little")
        place = bucket.rfind(sought)
        while place > 0 and place % _RECORD.size:
            place = bucket.rfind(sought, 0, place + HASH_BYTES - 1)
        return place

    def _job(self, job_id: str) -> int:
        """The number of a job, here."""
        encoded = job_id.encode()
        if encoded != self._last_job:
            self._last_job = encoded
            self._jobs += encoded
        return len(self._jobs) // _JOB_ID_BYTES - 1

    def _grow(self, size: int) -> None:
        before, bits = self._buckets
        if size <= _BUCKET_ROWS << bits:
            return
        bits += 2
        buckets, shift = _empty(bits), HASH_BITS - bits
        for bucket in before:
            for record in _RECORD.iter_unpack(bucket):
                buckets[record[0] >> shift] += _RECORD.pack(*record)
        self._buckets = buckets, bits


@dataclass(frozen=True, slots=True)
class CreatedFile:
    """Created rows in a file, for another process."""

    key: bytes
    path: Path
    #: How many bits of a hash say which bucket it is in.
    bits: int
    #: The number of records up to the end of each bucket.
    ends: "array[int]"

    def within(self, hashes: HashRange, wanted: Sequence[int]) -> Container[int]:
        """Those of the wanted hashes, all of this range, that a created row has. Reads it piece by piece."""
        first = hashes.part << self.bits >> hashes.bits
        last = ((hashes.part + 1 << self.bits) - 1) >> hashes.bits
        sought, found = frozenset(wanted), set[int]()
        for begin in range(first, last + 1, _PIECE_BUCKETS):
            records = self._records(begin, min(begin + _PIECE_BUCKETS - 1, last))
            found.update(sought.intersection(_numbers("Q", records)[:: _RECORD.size // HASH_BYTES]))
        return found

    def find(self, row_hash: int) -> CreatedRow | None:
        """The created row with this hash, the one that was added last."""
        bucket = row_hash >> HASH_BITS - self.bits
        records = self._records(bucket, bucket)
        found = [at for at in range(0, len(records), _RECORD.size) if _RECORD.unpack_from(records, at)[0] == row_hash]
        if not found:
            return None
        with self.path.open("rb") as file:
            file.seek(self.ends[-1] * _RECORD.size + _RECORD.unpack_from(records, found[-1])[1] * _JOB_ID_BYTES)
            job_id = file.read(_JOB_ID_BYTES).decode()
        return CreatedRow(job_id, _RECORD.unpack_from(records, found[-1])[2])

    def _records(self, first: int, last: int) -> bytes:
        """The records of these buckets."""
        begin = self.ends[first - 1] if first else 0
        with self.path.open("rb") as file:
            file.seek(begin * _RECORD.size)
            return file.read((self.ends[last] - begin) * _RECORD.size)


def _empty(bits: int) -> list[bytearray]:
    return [bytearray() for _ in range(1 << bits)]


def _created(record: bytes, jobs: bytearray) -> CreatedRow:
    _, job, row = _RECORD.unpack(record)
    return CreatedRow(jobs[job * _JOB_ID_BYTES :][:_JOB_ID_BYTES].decode(), row)


def _numbers(code: str, little: bytes | bytearray) -> "array[int]":
    numbers = array(code, bytes(little))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
