"""Result files as CSV, in the delimiter of the upload."""

import csv
from collections.abc import Collection, Iterable
from io import StringIO
from typing import Any, Final

from sqlalchemy import Row

from services.status.result_files.result_cells import ResultCells

#: Excel takes a file without it for Windows-1252.
BYTE_ORDER_MARK: Final = "\ufeff"


class ResultCsv:
    """Writes one job's rows. `marked`: the file begins with a byte order mark."""

    def __init__(self, cells: ResultCells, delimiter: str, *, marked: bool = False) -> None:
        self._cells = cells
        self._delimiter = delimiter
        self._marked = marked

    def header(self) -> bytes:
        """The first line."""
        return (BYTE_ORDER_MARK.encode() if self._marked else b"") + self._lines([self._cells.columns])

    def rows(self, rows: Iterable[Row[Any]], undecided: Collection[int] = ()) -> bytes:
        """A line for each. `undecided`: rows of unknown outcome about which nobody has decided."""
        return self._lines(self._cells.of(row, undecided) for row in rows)

    def end(self) -> bytes:
        """Nothing: a CSV ends where it ends."""
        return b""

    def close(self) -> None:
        """Nothing is open."""

    def _lines(self, records: Iterable[Iterable[str | int]]) -> bytes:
        text = StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter).writerows(records)
        return text.getvalue().encode()
