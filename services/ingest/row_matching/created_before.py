"""Which rows of a file are alike to rows that the same tenant's jobs have created before."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import Final, NamedTuple, Protocol

from services.ingest.row_matching.duplicates import HASH_BITS, DuplicateRows, HashRange
from shared.runtime.http.row_problems import ProblemCode, RowProblem

#: How many of them are listed in an answer.
LISTED_ROWS: Final = 10


class CreatedRow(NamedTuple):
    """A row that became a hospital."""

    job_id: str
    row: int


class CreatedRows(Protocol):
    """The rows that a tenant's jobs have created, by their hashes."""

    @property
    def key(self) -> bytes:
        """The key of the hashes."""

    def within(self, hashes: HashRange, wanted: Sequence[int]) -> Container[int]:
        """Those of the wanted hashes, all of this range, that a created row has. It is asked for no others."""

    def find(self, row_hash: int) -> CreatedRow | None:
        """The created row with this hash, the latest if there are several."""


class RepeatedRow(NamedTuple):
    """A row of the file, and the created row that it is alike to."""

    row: int
    created: CreatedRow


@dataclass(frozen=True, slots=True)
class AlreadyCreated:
    """How many rows of a file were created before, and the first of them."""

    count: int = 0
    rows: tuple[RepeatedRow, ...] = ()


NONE_CREATED: Final = AlreadyCreated()


class CreatedBefore:
    """Compares the rows of a file with created rows. Keeps no more of them than are listed."""

    def __init__(self, created: CreatedRows | None, rows: DuplicateRows, listed: int = LISTED_ROWS) -> None:
        self._created = created
        self._rows = rows
        self._listed = listed
        self._count = 0
        self._first: list[tuple[int, int]] = []

    def look_at(self, hashes: HashRange, wanted: Sequence[int]) -> None:
        """Compares a part of the rows, by their hashes."""
        if self._created is None or not wanted:
            return
        known, (part, bits) = self._created.within(hashes, wanted), hashes
        if not (count := sum(map(known.__contains__, wanted))):
            return
        self._count += count
        places = (place for place in self._rows.rows() if place[1] >> HASH_BITS - bits == part and place[1] in known)
        self._first = nsmallest(self._listed, [*self._first, *islice(places, min(count, self._listed))])

    def result(self) -> AlreadyCreated:
        """What was found in all parts."""
        return AlreadyCreated(self._count, tuple(self._listed_rows())) if self._count else NONE_CREATED

    def _listed_rows(self) -> Iterator[RepeatedRow]:
        for row, number in self._first:
            if self._created and (created := self._created.find(number)):
                yield RepeatedRow(row, created)


def created_problems(found: AlreadyCreated) -> Iterator[RowProblem]:
    """The rows that are listed, as problems."""
    for row, created in found.rows:
        message = (
            f"Row {created.row} of the job {created.job_id} has created this hospital. "
            "Delete the row, or allow rows that were created before (`repeat_created`) to create it once more."
        )
        yield RowProblem(row=row, column=None, code=ProblemCode.CREATED_BEFORE, message=message)
