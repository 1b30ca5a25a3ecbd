"""The CSV of a result file: the input's own columns as they were uploaded, then ours. Pure: no database, no HTTP.

Ours begin with `result_`, by which ingest knows them and leaves them out when the file is uploaded again. They are
guarded against being taken for formulas; the input's own cells are the user's, and stay as they are.
"""

import csv
import json
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from io import StringIO
from typing import Any, Final

from sqlalchemy import Row

from services.status.results import RowStatus
from services.status.row_queries import shown_status

#: Excel takes a file without it for Windows-1252.
BYTE_ORDER_MARK: Final = "\ufeff"
RESULT_COLUMNS: Final = (
    "result_row",
    "result_status",
    "result_hospital_id",
    "result_batch_id",
    "result_attempts",
    "result_error_code",
    "result_error",
)
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

    def rows(self, rows: Iterable[Row[Any]]) -> bytes:
        """A line for each. A column that a row does not have, because its event was unreadable, is empty."""
        return self._lines(map(self._cells, rows))

    def _cells(self, row: Row[Any]) -> Iterator[str]:
        own = json.loads(row.columns)
        for column in self._columns:
            yield own.get(column, "")
        for cell in self._result(row):
            yield guarded(cell)

    def _result(self, row: Row[Any]) -> tuple[str, ...]:
        return (
            str(row.row),
            shown_status(row, self._activated),
            "" if row.hospital_id is None else str(json.loads(row.hospital_id)),
            row.batch_id or "",
            str(row.attempts),
            row.error_code or "",
            (row.error or "")[:_MAX_ERROR_CHARS],
        )

    def _lines(self, records: Iterable[Iterable[str]]) -> bytes:
        text = StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter).writerows(records)
        return text.getvalue().encode()


def guarded(cell: str) -> str:
    """The cell as text for every spreadsheet: with an apostrophe before what could begin a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
