"""The header of an upload: which column is which, and what separates them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

from services.ingest.csv_file.records import Cells, Unreadable, records
from shared.contract.hospital_matching import fold
from shared.runtime.http.problems import RowProblem

DELIMITERS: Final = (",", ";", "\t")
REQUIRED: Final = ("name", "address")
MAX_COLUMNS: Final = 1_000
#: Begins the columns that we add to a result file. When it is uploaded again they are ignored.
RESULT_PREFIX: Final = "result_"
#: For a hint beside the refusal: none of these is accepted in place of the name itself.
_OFTEN_WRITTEN_AS: Final = {
    "name": {"hospital", "hospital name", "hospital_name", "facility", "facility name", "title", "nombre", "nom"},
    "address": {"addr", "adress", "addres", "adresse", "street", "street address", "location", "hospital address"},
    "phone": {"telephone", "tel", "phone number", "phone_number", "telefon", "mobile"},
}


@dataclass(frozen=True, slots=True)
class Header:
    """Which cells of a record belong to which column. Indices count cells from 0."""

    #: The row of the header itself: 1, or more when blank lines stand above it.
    row: int
    delimiter: str
    #: The named columns in their order, as written, without `result_*`.
    columns: tuple[str, ...]
    #: The index of each of `columns`.
    indices: tuple[int, ...]
    #: Cells up to here belong to a column, with a name or without.
    width: int
    #: Columns without a name: their cells have to be empty.
    unnamed: tuple[int, ...]
    name: int
    address: int
    phone: int | None

    @property
    def all_named(self) -> bool:
        """Whether every cell belongs to one of `columns`."""
        return len(self.indices) == self.width


@dataclass(frozen=True, slots=True)
class HeaderRejected:
    """Why no row could be read."""

    errors: tuple[RowProblem, ...]


def find_header(text: TextIO) -> Header | HeaderRejected:
    """The header, by the delimiter that finds most of the required columns. Reads from the start of the text."""
    candidates = [found for delimiter in DELIMITERS if (found := _first_record(text, delimiter))]
    if not candidates:
        return HeaderRejected((RowProblem(row=None, column=None, message="The file is empty."),))
    delimiter, row, cells = max(candidates, key=_plausibility)
    if isinstance(cells, Unreadable):
        return HeaderRejected((RowProblem(row=row, column=None, message=cells.message),))
    return _header(delimiter, row, cells)


def _first_record(text: TextIO, delimiter: str) -> tuple[str, int, Cells | Unreadable] | None:
    text.seek(0)
    for row, cells in records(text, delimiter):
        if isinstance(cells, Unreadable) or "".join(cells).strip(" ,;\t"):
            return delimiter, row, cells
    return None


def _plausibility(candidate: tuple[str, int, Cells | Unreadable]) -> tuple[int, int]:
    cells = candidate[2]
    if isinstance(cells, Unreadable):
        # An unclosed quote is a better explanation than a header without any known column.
        return (0, MAX_COLUMNS) if cells.is_open else (-1, 0)
    names = [fold(cell) for cell in cells[:MAX_COLUMNS]]
    return sum(required in names for required in REQUIRED), len(cells)


def _header(delimiter: str, row: int, cells: Cells) -> Header | HeaderRejected:
    if len(cells) > MAX_COLUMNS:
        message = f"The header has {len(cells):,} columns; at most {MAX_COLUMNS:,} are read."
        return HeaderRejected((RowProblem(row=row, column=None, message=message),))
    folded = [fold(cell) for cell in cells]
    if errors := tuple(_problems(row, cells, folded)):
        return HeaderRejected(errors)
    indices = tuple(index for index, name in enumerate(folded) if name and not name.startswith(RESULT_PREFIX))
    return Header(
        row=row,
        delimiter=delimiter,
        columns=tuple(cells[index] for index in indices),
        indices=indices,
        width=len(cells),
        unnamed=tuple(index for index, name in enumerate(folded) if not name),
        name=folded.index("name"),
        address=folded.index("address"),
        phone=folded.index("phone") if "phone" in folded else None,
    )


def _problems(row: int, cells: Cells, folded: list[str]) -> Iterator[RowProblem]:
    for required in REQUIRED:
        if required not in folded:
            yield RowProblem(row=row, column=required, message=_missing(required, cells, folded))
    for name, times in Counter(folded).items():
        if name and times > 1 and not name.startswith(RESULT_PREFIX):
            message = f"The header has {times} columns called {name[:100]!r}: rename or remove all but one."
            yield RowProblem(row=row, column=name[:100], message=message)


def _missing(required: str, cells: Cells, folded: list[str]) -> str:
    for cell, name in zip(cells, folded, strict=True):
        if name in _OFTEN_WRITTEN_AS[required]:
            return f"The column `{required}` is missing. Did you mean `{required}` where the header says {cell!r}?"
    found = ", ".join(repr(cell) for cell in cells[:10])[:300]
    return f"The column `{required}` is missing. The header has: {found}."
