"""The header of an upload: in which row it stands, what separates the columns, and which column is which.

It is the first of the first 20 rows that names the required columns. Titles and comments above it are skipped.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from string import ascii_uppercase
from typing import Final, TextIO

from services.ingest.csv_file.column_mapping import ColumnMapping, RequestedMapping, is_ours, map_columns
from services.ingest.csv_file.known_columns import REQUIRED, HospitalField
from services.ingest.csv_file.no_header import why_no_header
from services.ingest.csv_file.records import Cells, DelimiterFit, RecordFormat, Unreadable, delimiter_fit, records
from shared.runtime.http.row_problems import ProblemCode, RowProblem, shown

DELIMITERS: Final = (",", ";", "\t")
MAX_COLUMNS: Final = 1_000
#: In place of the header's row.
NO_HEADER: Final = 0
#: How far down a header is looked for.
SEARCHED_ROWS: Final = 20
#: Excel's own line that names the delimiter.
_SEP_LINE: Final = re.compile(r"\ufeff?sep=(.)\r?\n?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HeaderRequest:
    """What a request says about the header; nothing is the rule."""

    mapping: RequestedMapping = field(default_factory=dict)
    #: In which row it stands, from 1; NO_HEADER: the columns are called A, B, C; None: it is looked for.
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Which cells of a record belong to which column. Indices count cells from 0."""

    row: int
    format: RecordFormat
    #: The cells of the header, as written.
    cells: list[str]
    #: The named columns in their order, as written, without ours.
    columns: tuple[str, ...]
    #: The index of each of `columns`.
    indices: tuple[int, ...]
    #: Columns without a name: what stands in them is left out.
    unnamed: tuple[int, ...]
    mapping: ColumnMapping
    #: The indices of the columns that we add to result files, by their names.
    ours: Mapping[str, int]
    #: Cells up to here belong to a column, with a name or without.
    width: int
    #: Whether every cell belongs to one of `columns`.
    all_named: bool

    #: How a row begins that may be the header once more: its cell of the name, in small letters.
    folded_name: str
    #: Whether there is none: the columns have the letters of a spreadsheet, and data may begin in row 1.
    is_lettered: bool = False

    @property
    def delimiter(self) -> str:
        """What separates the columns."""
        return self.format.delimiter

    def column(self, index: int) -> str:
        """How a problem names a column: name, address or phone, else the header as written."""
        fields = (each for each in HospitalField if index in self.mapping.of(each))
        return next(fields, self.cells[index][:100])


@dataclass(frozen=True, slots=True)
class HeaderRejected:
    """Why no row could be read."""

    errors: tuple[RowProblem, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: int
    format: RecordFormat
    cells: Cells
    mapping: ColumnMapping
    #: Of letters in place of names.
    fit: DelimiterFit | None = None

    @property
    def rank(self) -> tuple[bool, int, int, DelimiterFit, int]:
        """Greater is more like a header: it has the required columns, more fields, more columns, stands higher."""
        found = sum(bool(self.mapping.of(each)) for each in HospitalField)
        fit = self.fit or DelimiterFit()
        return (not self.mapping.problems, found, -self.row if found else 0, fit, len(self.cells))

    def is_as_likely_as(self, other: "_Candidate") -> bool:
        """Whether both have all columns by their letters, and nothing tells which delimiter is the right one."""
        return self.fit is not None and self.fit == other.fit


def find_header(
    text: TextIO,
    request: HeaderRequest | None = None,
    spaced: Container[str] = (),
    delimiters: Sequence[str] = DELIMITERS,
) -> Header | HeaderRejected:
    """The header, by the delimiter that finds most of the required columns. Reads from the start of the text.

    `spaced`: the delimiters behind which a space is left out.
    """
    request = request or HeaderRequest()
    delimiter, above = _sep_line(text) if len(delimiters) > 1 else (None, 0)
    best: _Candidate | None = None
    rival: _Candidate | None = None
    unreadable: RowProblem | None = None
    for each in (delimiter,) if delimiter else delimiters:
        for found in _candidates(text, RecordFormat(each, each in spaced), above, request):
            if isinstance(found, RowProblem):
                unreadable = unreadable or found
            elif best is None or found.rank > best.rank:
                best, rival = found, best if best and found.is_as_likely_as(best) else None
            elif found.is_as_likely_as(best):
                rival = found
    if best is None or (unreadable and not any(map(best.mapping.of, REQUIRED))):
        return HeaderRejected((unreadable or _nothing_found(text, request),))
    if rival is not None:
        return HeaderRejected((_two_delimiters(best, rival),))
    return _header(best, text, is_lettered=request.row == NO_HEADER)


def _sep_line(text: TextIO) -> tuple[str | None, int]:
    """The delimiter that the first line names, and how many rows stand above the next."""
    text.seek(0)
    named = _SEP_LINE.fullmatch(text.readline(20))
    return (named.group(1), 1) if named else (None, 0)


def _candidates(
    text: TextIO, record_format: RecordFormat, above: int, request: HeaderRequest
) -> Iterator[_Candidate | RowProblem]:
    text.seek(0)
    if request.row == NO_HEADER:
        yield from _without_header(text, record_format, above, request)
        return
    last = request.row or SEARCHED_ROWS
    for row, cells in records(text, record_format):
        if row <= above or (request.row and row < request.row):
            continue
        if row > last:
            return
        if isinstance(cells, Unreadable):
            # A title may have any quotes. One that stays open hides everything below it.
            if cells.is_open or request.row:
                yield cells.problem(row)
        elif "".join(cells).strip(" ,;\t"):
            yield _Candidate(row, record_format, cells, map_columns(row, cells[:MAX_COLUMNS], request.mapping))


def _without_header(
    text: TextIO, record_format: RecordFormat, above: int, request: HeaderRequest
) -> Iterator[_Candidate | RowProblem]:
    """The columns of the first rows, by their letters."""
    rows: list[Cells] = []
    for row, cells in islice(records(text, record_format), above, SEARCHED_ROWS):
        if isinstance(cells, Unreadable):
            yield cells.problem(row)
        else:
            rows.append(cells)
    if rows:
        letters = [_letters(index) for index in range(max(map(len, rows)))]
        mapping = map_columns(NO_HEADER, letters[:MAX_COLUMNS], request.mapping)
        needed = 1 + max((index for each in REQUIRED for index in mapping.of(each)), default=0)
        fit = None if mapping.problems else delimiter_fit(rows, needed, record_format.delimiter)
        yield _Candidate(above, record_format, letters, mapping, fit)


def _letters(index: int) -> str:
    """What a spreadsheet calls the column: A for 0, AA for 26."""
    above, place = divmod(index, len(ascii_uppercase))
    return (_letters(above - 1) if above else "") + ascii_uppercase[place]


def _two_delimiters(one: _Candidate, other: _Candidate) -> RowProblem:
    signs = " or ".join(f"`{each.format.delimiter}`" for each in (one, other))
    message = (
        f"It cannot be told whether {signs} separates the columns. Write `sep={one.format.delimiter}` or "
        f"`sep={other.format.delimiter}` as the first line of the file, or insert a row at the top that names the "
        "columns: name, address, phone."
    )
    return RowProblem(row=None, column=None, code=ProblemCode.UNKNOWN_DELIMITER, message=message)


def _nothing_found(text: TextIO, request: HeaderRequest) -> RowProblem:
    text.seek(0)
    if request.row and text.read(1):
        message = f"Row {request.row} names no columns. Choose the row that does, counted from 1 (`header_row`)."
        return RowProblem(row=request.row, column=None, code=ProblemCode.NO_HEADER, message=message)
    return RowProblem(row=None, column=None, code=ProblemCode.EMPTY_FILE, message="The file is empty.")


def _header(found: _Candidate, text: TextIO, is_lettered: bool) -> Header | HeaderRejected:
    cells, mapping = found.cells, found.mapping
    if len(cells) > MAX_COLUMNS:
        message = f"The header has {len(cells):,} columns. At most {MAX_COLUMNS:,} are read."
        problem = RowProblem(row=found.row, column=None, code=ProblemCode.TOO_MANY_COLUMNS, message=message)
        return HeaderRejected((problem,))
    if mapping.problems:
        text.seek(0)
        reasons = () if is_lettered else why_no_header(list(islice(text, SEARCHED_ROWS)), cells)
        return HeaderRejected(reasons or mapping.problems)
    named = [index for index, name in enumerate(cells) if name.strip()]
    indices = tuple(index for index in named if not is_ours(cells[index]))
    return Header(
        row=found.row,
        format=found.format,
        cells=cells,
        columns=tuple(cells[index] for index in indices),
        indices=indices,
        unnamed=tuple(index for index in range(len(cells)) if index not in set(named)),
        mapping=mapping,
        width=len(cells),
        all_named=len(indices) == len(cells),
        ours={cells[index].strip().casefold(): index for index in named if is_ours(cells[index])},
        folded_name=", ".join(cells[index].strip() for index in mapping.name).lower(),
        is_lettered=is_lettered,
    )


def header_warnings(header: Header) -> Iterator[RowProblem]:
    """Columns that are not used, although they look useful."""
    for index in header.mapping.useful:
        name = shown(header.cells[index])
        message = (
            f"The column {name!r} is not sent to the directory. "
            f"If it belongs to the hospital, choose it for one of the fields (`mapping`)."
        )
        yield RowProblem(row=header.row, column=name, code=ProblemCode.UNUSED_COLUMN, message=message)
