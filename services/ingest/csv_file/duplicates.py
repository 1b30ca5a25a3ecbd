"""Which rows of one file are duplicates of each other, found with 12 bytes of memory a row."""

from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from shared.contract.hospital_matching import MatchingKey

#: How often one hospital may stand in a file. Every further occurrence needs a series of batches of its own.
MAX_DUPLICATES: Final = 1_000
#: How many rows are sorted at a time.
PART_ROWS: Final = 250_000


class Duplicate(NamedTuple):
    """A row that repeats a hospital of a row above it."""

    row: int
    first_row: int
    #: How many rows above it have the same hospital: 1 for the second of them.
    occurrence: int


class DuplicateRows:
    """Finds duplicates by a keyed 64-bit hash of each row's matching key.

    In a file of a million rows two different hospitals share a hash with a chance of about 1 in 10^7. Nobody can choose
    such rows, since the hash's key is new in every process.
    """

    def __init__(self, part_rows: int = PART_ROWS) -> None:
        self._part_rows = part_rows
        self._hashes = array("q")
        self._rows = array("I")

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, matching_key: MatchingKey) -> None:
        """Adds the next row. Call it in the order of the file."""
        self._hashes.append(hash(matching_key))
        self._rows.append(row)

    def duplicates(self) -> Iterator[Duplicate]:
        """Every row that repeats one above it, in the order of the file."""
        wanted = self._repeated_hashes()
        seen: dict[int, tuple[int, int]] = {}
        if not wanted:
            return
        for number, row in zip(self._hashes, self._rows, strict=True):
            if number in wanted:
                first_row, above = seen.get(number, (row, 0))
                seen[number] = (first_row, above + 1)
                if above:
                    yield Duplicate(row, first_row, above)

    def _repeated_hashes(self) -> set[int]:
        # Sorted in parts: a million numbers at once would take 40 MB more.
        parts = 1 + len(self) // self._part_rows
        repeated: set[int] = set()
        for part in range(parts):
            ordered = sorted(number for number in self._hashes if number % parts == part)
            repeated.update(number for number, after in pairwise(ordered) if number == after)
        return repeated
