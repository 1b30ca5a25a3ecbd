"""Which rows of one file are duplicates of each other, found with 12 bytes of memory a row."""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple

from shared.contract.hospital_matching import fold, fold_phone
from shared.runtime.http.row_problems import ProblemCode, RowProblem

#: How often one hospital may stand in a file. Every further occurrence needs a series of batches of its own.
MAX_DUPLICATES: Final = 1_000
#: How many rows are sorted at a time, if hashes are spread evenly.
PART_ROWS: Final = 1 << 18
HASH_BITS: Final = 64
_KEY_BYTES: Final = 32
#: What counts in a phone number (`fold_phone`), for those of ASCII characters: nearly all.
_PHONE: Final = {sign: chr(sign).lower() if chr(sign).isalnum() or chr(sign) == "+" else None for sign in range(128)}


class RowHash:
    """A keyed 64-bit hash of a hospital, the same for all that are alike (shared.contract.hospital_matching).

    Of a million hospitals two others share a hash with a chance of about 1 in 10^7. Nobody can choose such ones without
    the key. Without a key it is one of this object alone.
    """

    def __init__(self, key: bytes = b"") -> None:
        self._begin = blake2b(digest_size=HASH_BITS // 8, key=key or os.urandom(_KEY_BYTES)).copy

    def of(self, name: str, address: str, phone: str | None) -> int:
        """The hash. Name and address are stripped and have no control characters.

        They are folded as one text, which takes half the time: no fold reaches over the sign between them.
        """
        if phone:
            phone = phone.translate(_PHONE) if phone.isascii() else fold_phone(phone)
        hospital = fold(f"{name}\0{address}")
        hashed = self._begin()
        hashed.update(f"{hospital}\0{phone or ''}".encode())
        return int.from_bytes(hashed.digest(), "little")


class HashRange(NamedTuple):
    """The hashes whose first `bits` bits are the number `part`: one of 2**bits equal parts."""

    part: int
    bits: int


class Duplicate(NamedTuple):
    """A row that repeats a hospital of a row above it."""

    row: int
    first_row: int
    #: How many rows above it have the same hospital: 1 for the second of them.
    occurrence: int


#: Is shown the hashes of a part, in ascending order.
LookAtPart = Callable[[HashRange, Sequence[int]], None]


def _ignore(_: HashRange, __: Sequence[int]) -> None:
    pass


class DuplicateRows:
    """Finds duplicates by the hash of each row."""

    def __init__(self, part_rows: int = PART_ROWS) -> None:
        self._part_rows = part_rows
        self._hashes = array("Q")
        self._rows = array("I")

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, row_hash: int) -> None:
        """Adds the next row. Call it in the order of the file."""
        self._hashes.append(row_hash)
        self._rows.append(row)

    def rows(self) -> Iterator[tuple[int, int]]:
        """Each row with its hash, in the order of the file."""
        return zip(self._rows, self._hashes, strict=True)

    def duplicates(self, look_at: LookAtPart = _ignore) -> Iterator[Duplicate]:
        """Every row that repeats one above it, in the order of the file. `look_at` is shown each part at once."""
        return self._repeating(self._repeated_hashes(look_at))

    def _repeating(self, wanted: set[int]) -> Iterator[Duplicate]:
        seen: dict[int, tuple[int, int]] = {}
        if not wanted:
            return
        for row, number in self.rows():
            if number in wanted:
                first_row, above = seen.get(number, (row, 0))
                seen[number] = (first_row, above + 1)
                if above:
                    yield Duplicate(row, first_row, above)

    def _repeated_hashes(self, look_at: LookAtPart) -> set[int]:
        # Sorted in parts: a million numbers at once would take 40 MB more.
        bits = max(0, (len(self) - 1) // self._part_rows).bit_length()
        shift = HASH_BITS - bits
        repeated: set[int] = set()
        for part in range(1 << bits):
            ordered = (
                sorted(number for number in self._hashes if number >> shift == part) if bits else sorted(self._hashes)
            )
            repeated.update(number for number, after in pairwise(ordered) if number == after)
            look_at(HashRange(part, bits), ordered)
        return repeated


def duplicate_problems(
    duplicates: Iterable[Duplicate], allowed: bool, occurrences: dict[int, int]
) -> Iterator[RowProblem]:
    """What is wrong with duplicates. `occurrences` gets how many rows above each have the same hospital."""
    for duplicate in duplicates:
        occurrences[duplicate.row] = duplicate.occurrence
        if not allowed:
            message = (
                f"The same hospital as in row {duplicate.first_row}. "
                "Remove one of them, or allow duplicates if both are meant."
            )
            yield RowProblem(row=duplicate.row, column=None, code=ProblemCode.DUPLICATE_ROW, message=message)
        elif duplicate.occurrence >= MAX_DUPLICATES:
            message = f"The same hospital as in row {duplicate.first_row}, for more than {MAX_DUPLICATES:,} times."
            yield RowProblem(row=duplicate.row, column=None, code=ProblemCode.DUPLICATE_ROW, message=message)
