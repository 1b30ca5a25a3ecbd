"""The rows of an upload and the rules that each of them has to meet."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TextIO

from services.ingest.csv_file.header import Header
from services.ingest.csv_file.records import Cells, Unreadable, records
from shared.contract.hospital_matching import MatchingKey, matching_key
from shared.runtime.http.problems import RowProblem

MAX_FIELD_CHARS: Final = 1_000
#: Control characters other than tab and line ends, which a quoted field may hold.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PHONE: Final = re.compile(r"(?=.*\d)[\w\s+().,/#*;:\-\u2010-\u2015\u2212]+", re.DOTALL)


class Row(NamedTuple):
    """A row that meets every rule. `cells` are as in the file; name, address and phone are stripped."""

    row: int
    name: str
    address: str
    phone: str | None
    #: A cell for each of the header's columns. Empty ones at the end are left out.
    cells: list[str]

    @property
    def matching_key(self) -> MatchingKey:
        """Equal for two rows that name the same hospital."""
        return matching_key(self.name, self.address, self.phone)


@dataclass(frozen=True, slots=True)
class RowRejected:
    """A row that breaks rules, with one problem for each rule."""

    errors: list[RowProblem]


def read_rows(text: TextIO, header: Header) -> Iterator[Row | RowRejected]:
    """Every data row of the text, from its start."""
    text.seek(0)
    for row, cells in records(text, header.delimiter):
        if row > header.row:
            yield _read_row(header, row, cells)


def _read_row(header: Header, row: int, cells: Cells | Unreadable) -> Row | RowRejected:
    if isinstance(cells, Unreadable):
        return RowRejected([RowProblem(row=row, column=None, message=cells.message)])
    errors = [] if _has_valid_layout(header, cells) else list(_layout_problems(header, row, cells))
    name, address = _stripped(cells, header.name), _stripped(cells, header.address)
    phone = _stripped(cells, header.phone)
    if not (name and address and (not phone or _PHONE.fullmatch(phone))):
        errors += _value_problems(row, name, address, phone)
    if errors:
        return RowRejected(errors)
    return Row(row, name, address, phone or None, _named(header, cells))


def _stripped(cells: Cells, index: int | None) -> str:
    """A row may be short: spreadsheets leave out the empty cells at its end."""
    return cells[index].strip() if index is not None and index < len(cells) else ""


def _named(header: Header, cells: Cells) -> Cells:
    """The cells of columns with a name, to the last one that is not empty."""
    last = len(cells)
    if not header.all_named or last > header.width:
        cells = [cells[index] for index in header.indices if index < last]
    while not cells[-1]:
        cells.pop()
    return cells


def _has_valid_layout(header: Header, cells: Cells) -> bool:
    """The quick check that nearly every row passes: of the whole row instead of each cell."""
    return (
        not header.unnamed
        and len(cells) <= header.width
        and max(map(len, cells)) <= MAX_FIELD_CHARS
        and not _CONTROL.search("".join(cells))
    )


def _layout_problems(header: Header, row: int, cells: Cells) -> Iterator[RowProblem]:
    if any(cell.strip() for cell in cells[header.width :]):
        message = (
            f"The row has {len(cells)} fields, the header {header.width}: "
            f"put a field that contains {_delimiter_name(header.delimiter)} in double quotes."
        )
        yield RowProblem(row=row, column=None, message=message)
    for index in header.unnamed:
        if index < len(cells) and cells[index].strip():
            message = f"Column {index + 1} has a value but no name: give it one in the header, or remove the value."
            yield RowProblem(row=row, column=None, message=message)
    for column, index in zip(header.columns, header.indices, strict=True):
        if index < len(cells):
            yield from _bad_cell(row, column, cells[index])


def _bad_cell(row: int, column: str, cell: str) -> Iterator[RowProblem]:
    if len(cell) > MAX_FIELD_CHARS:
        message = f"The field has {len(cell):,} characters; at most {MAX_FIELD_CHARS:,} are taken."
        yield RowProblem(row=row, column=column, message=message)
    if found := _CONTROL.search(cell):
        message = f"The field has a control character (U+{ord(found.group()):04X}) at position {found.start() + 1}."
        yield RowProblem(row=row, column=column, message=message)


def _value_problems(row: int, name: str, address: str, phone: str) -> Iterator[RowProblem]:
    if not name:
        yield RowProblem(row=row, column="name", message="The name is missing.")
    if not address:
        yield RowProblem(row=row, column="address", message="The address is missing.")
    if phone and not _PHONE.fullmatch(phone):
        message = f"{phone[:40]!r} is not a phone number: it needs a digit, and no other signs than + ( ) - . / # *."
        yield RowProblem(row=row, column="phone", message=message)


def _delimiter_name(delimiter: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}[delimiter]
