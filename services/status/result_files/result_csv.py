"""The CSV of a result file: the input's own columns as they were uploaded, then ours. Pure: no database, no HTTP.

Ours begin with `result_`, by which ingest knows them and leaves them out when the file is uploaded again. They are
guarded against being taken for formulas; the input's own cells are the user's, and stay as they are.
"""

import csv
import json
from collections.abc import Collection, Iterable
from enum import StrEnum
from io import StringIO
from typing import Any, Final

from sqlalchemy import Row

from services.status.model.row_results import RowStatus
from services.status.queries.row_queries import shown_status
from shared.contract.events import RowErrorCode
from shared.contract.result_columns import RESULT_COLUMNS

#: Excel takes a file without it for Windows-1252.
BYTE_ORDER_MARK: Final = "\ufeff"
#: The error code of a row that somebody has resolved as absent from the directory.
ABSENT: Final = "absent"
_MAX_ERROR_CHARS: Final = 1_000
#: How a cell begins that a spreadsheet may run (OWASP, CSV injection). The last four are = + - @ in full width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class ResultFileName(StrEnum):
    """Which rows a file holds."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    UNPROCESSED = "unprocessed"

    @property
    def outcome(self) -> RowStatus:
        """What became of the rows in it."""
        return RowStatus.CREATED if self is ResultFileName.SUCCESSFUL else RowStatus(self.value)


class ResultCsv:
    """Writes one job's rows in the delimiter of its input."""

    def __init__(self, columns: Iterable[str], delimiter: str, activated: Collection[str]) -> None:
        self._columns = tuple(columns)
        self._delimiter = delimiter
        self._activated = activated

    def header(self) -> bytes:
        """The first line."""
        return self._lines([(*self._columns, *RESULT_COLUMNS)])

    def rows(self, rows: Iterable[Row[Any]], undecided: Collection[int] = ()) -> bytes:
        """A line for each. Cells that a row does not have are empty: at its end, or all, as its event was unreadable.

        `undecided`: rows of unknown outcome about which nobody has decided.
        """
        return self._lines(self._cells(row, undecided) for row in rows)

    def _cells(self, row: Row[Any], undecided: Collection[int]) -> list[str | int]:
        cells: list[str | int] = [*self._own_cells(json.loads(row.columns))]
        cells += (
            row.row,
            shown_status(row, self._activated),
            _hospital_id(row.hospital_id),
            guarded(row.batch_id or ""),
            row.attempts,
            guarded(_code(row, undecided)),
            guarded((row.error or "")[:_MAX_ERROR_CHARS]),
        )
        return cells

    def _own_cells(self, uploaded: list[str] | dict[str, str]) -> list[str]:
        if isinstance(uploaded, dict):
            return [uploaded.get(column, "") for column in self._columns]
        width = len(self._columns)
        return uploaded[:width] + [""] * (width - len(uploaded))

    def _lines(self, records: Iterable[Iterable[str | int]]) -> bytes:
        text = StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter).writerows(records)
        return text.getvalue().encode()


def _code(row: Row[Any], undecided: Collection[int]) -> str:
    if row.error_code == RowErrorCode.OUTCOME_UNKNOWN and row.row not in undecided:
        return ABSENT if row.status == RowStatus.FAILED else ""
    return row.error_code or ""


def _hospital_id(stored: str | None) -> str:
    if stored is None or stored.isdecimal():
        return stored or ""
    return guarded(str(json.loads(stored)))


def guarded(cell: str) -> str:
    """The cell as text for every spreadsheet: with an apostrophe before what could begin a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
