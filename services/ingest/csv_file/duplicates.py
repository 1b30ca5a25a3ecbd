"""Which rows of one file are alike, remembered in 12 bytes a row."""

from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from shared.contract.hospital_matching import MatchingKey

#: How often one hospital may stand in a file: every repetition needs a series of batches of its own.
MAX_ALIKE: Final = 1_000
#: How many rows are compared at a time.
PART_ROWS = 250_000


class Repeat(NamedTuple):
    """A row that is alike to one above it."""

    row: int
    first_row: int
    #: How many alike stand above it: 1 for the second of them.
    occurrence: int


class AlikeRows:
    """Rows are compared by a keyed 64-bit hash of what they have in common.

    Two that differ share one with a chance of about 1 in 10^7 in a file of a million rows; nobody can choose such rows,
    as the key is new in every process.
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._rows = array("I")

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, matching_key: MatchingKey) -> None:
        """Rows are added from the top of the file down."""
        self._hashes.append(hash(matching_key))
        self._rows.append(row)

    def repeats(self) -> Iterator[Repeat]:
        """Every row that has its like above it, from the top down."""
        wanted = self._repeated_hashes()
        seen: dict[int, tuple[int, int]] = {}
        if not wanted:
            return
        for number, row in zip(self._hashes, self._rows, strict=True):
            if number in wanted:
                first_row, above = seen.get(number, (row, 0))
                seen[number] = (first_row, above + 1)
                if above:
                    yield Repeat(row, first_row, above)

    def _repeated_hashes(self) -> set[int]:
        # A part at a time: a million sorted numbers would take 40 MB more than they do here.
        parts = 1 + len(self) // PART_ROWS
        repeated: set[int] = set()
        for part in range(parts):
            ordered = sorted(number for number in self._hashes if number % parts == part)
            repeated.update(number for number, after in pairwise(ordered) if number == after)
        return repeated
