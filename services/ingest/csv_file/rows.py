"""The rows of an upload and the rules that each of them has to meet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final, NamedTuple, TextIO

from services.ingest.csv_file.cell_checks import CellChecks, is_ordinary
from services.ingest.csv_file.corrections import CorrectedRows
from services.ingest.csv_file.header import Header
from services.ingest.csv_file.records import Cells, Unreadable, records
from shared.contract.hospital_columns import value_at, western_digits
from shared.runtime.http.row_problems import RowProblem

MAX_FIELD_CHARS: Final = 1_000


class Row(NamedTuple):
    """A row that meets every rule. `cells` are as in the file; name, address and phone as they will be sent."""

    row: int
    name: str
    address: str
    phone: str | None
    #: A cell for each of the header's columns. Empty ones at the end are left out.
    cells: list[str]


@dataclass(frozen=True, slots=True)
class RowRejected:
    """A row that breaks rules, with one problem for each rule."""

    errors: list[RowProblem]


@dataclass(slots=True)
class RowReader:
    """Reads the data rows of a text. `warnings` gets what does not stand in the way of a row.

    `corrected` is shown each row that can be read.
    """

    header: Header
    repeat_created: bool = False
    corrected: CorrectedRows | None = None
    warnings: list[RowProblem] = field(default_factory=list)

    def read(self, text: TextIO) -> Iterator[Row | RowRejected]:
        """Every data row, from the start of the text."""
        checks = CellChecks(self.header, MAX_FIELD_CHARS, self.repeat_created)
        for row, cells in self._records(text):
            if isinstance(cells, Unreadable):
                yield RowRejected([cells.problem(row)])
                continue
            if self.corrected is not None:
                self.corrected.add(row, cells)
            name, address, phone = self._values(cells)
            if not self._is_ordinary(cells, name, address, phone):
                errors, warnings = checks.problems(row, cells, name, address, phone)
                self.warnings += warnings
                if errors:
                    yield RowRejected(errors)
                    continue
            yield Row(row, name, address, phone or None, self._named(cells))

    def read_again(self, text: TextIO) -> Iterator[Row]:
        """Every row of a text in which `read` found no error. Nothing is checked once more."""
        for row, cells in self._records(text):
            if not isinstance(cells, Unreadable):
                name, address, phone = self._values(cells)
                yield Row(row, name, address, phone or None, self._named(cells))

    def _records(self, text: TextIO) -> Iterator[tuple[int, Cells | Unreadable]]:
        text.seek(0)
        header_row = self.header.row
        return dropwhile(lambda record: record[0] <= header_row, records(text, self.header.format))

    def _values(self, cells: Cells) -> tuple[str, str, str]:
        mapping = self.header.mapping
        phone = value_at(mapping.phone, cells) if mapping.phone else ""
        if not phone.isascii():
            phone = western_digits(phone)
        return value_at(mapping.name, cells), value_at(mapping.address, cells), phone

    def _is_ordinary(self, cells: Cells, name: str, address: str, phone: str) -> bool:
        """The quick check that nearly every row passes: of the whole row instead of each cell."""
        header = self.header
        return bool(
            name
            and address
            and len(cells) <= header.width
            and header.all_named
            and name.lower() != header.folded_name
            and len(max(cells, key=len)) <= MAX_FIELD_CHARS
            and is_ordinary(cells, name, address, phone)
        )

    def _named(self, cells: Cells) -> Cells:
        """The cells of columns with a name, to the last one that is not empty."""
        last = len(cells)
        if not self.header.all_named or last > self.header.width:
            cells = [cells[index] for index in self.header.indices if index < last]
        while cells and not cells[-1]:
            cells.pop()
        return cells
