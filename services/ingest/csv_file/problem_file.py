"""Every error and warning of a file as CSV on disk, written while the file is read: memory stays bounded."""

import csv
import heapq
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from shared.runtime.http.row_problems import RowProblem

COLUMNS: Final = ("row", "column", "kind", "code", "message", "value")
#: Spreadsheets see by the mark that it is UTF-8.
_ENCODING: Final = "utf-8-sig"
#: It bounds the space on disk: about 700 MB.
MAX_PROBLEMS: Final = 2_000_000
#: What a spreadsheet would run (OWASP, CSV injection). A phone number that begins with + or - is none.
_FORMULA: Final = re.compile("[=@\t\r\n\uff1d\uff20]|[+\uff0b\uff0d-](?![0-9 ().+/-]*$)")

_Line = tuple[str, ...] | list[str]


class ProblemFile:
    """Writes problems in the order of their rows. What is added is a series that ascends, then a late one.

    Some may be about a row above the last one, as what the rows tell about the header; these are kept in memory.
    """

    def __init__(self, path: Path, max_problems: int = MAX_PROBLEMS) -> None:
        self._path = path
        self._max = max_problems
        self._late_path = path.with_suffix(".late")
        self._file = path.open("w", encoding=_ENCODING, newline="")
        self._late = self._late_path.open("w+", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)
        #: How many were added.
        self.total = 0
        #: How many there are besides.
        self.unlisted = 0
        self._last_row = 0
        self._has_late = False
        self._above: list[_Line] = []

    def add(self, problem: RowProblem, kind: str) -> None:
        """Adds the next one. `kind`: error or warning."""
        self.total += 1
        if self.total > self._max:
            return
        row = problem.row or 0
        if row < self._last_row:
            self._above.append(_line(problem, kind))
            return
        self._last_row = row
        self._writer.writerow(_line(problem, kind))

    def begin_late(self) -> None:
        """What is added from now on is the late series: its rows begin at the top once more."""
        self._has_late = True
        self._writer = csv.writer(self._late)
        self._last_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Puts the series together: then the file is whole."""
        with self._file, self._late:
            if kind is None:
                self._finish()
        self._late_path.unlink()

    def _finish(self) -> None:
        self._file.close()
        if self._has_late or self._above:
            self._merge()
        if (left := max(0, self.total - self._max) + self.unlisted) > 0:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(("", "", "", "", f"{left:,} more are not listed.", ""))

    def _merge(self) -> None:
        first = self._path.rename(self._path.with_suffix(".first"))
        self._late.seek(0)
        with (
            first.open(encoding=_ENCODING, newline="") as file,
            self._path.open("w", encoding=_ENCODING, newline="") as all_,
        ):
            series = csv.reader(file), csv.reader(self._late), iter(sorted(self._above, key=_row_of))
            csv.writer(all_).writerows(_merged(*series))
        first.unlink()


def write_errors(path: Path, errors: Iterable[RowProblem]) -> None:
    """Writes errors of the file as a whole."""
    with ProblemFile(path) as file:
        for error in errors:
            file.add(error, "error")


def _merged(first: Iterator[_Line], *others: Iterator[_Line]) -> Iterator[_Line]:
    yield next(first)
    yield from heapq.merge(first, *others, key=_row_of)


def _row_of(line: _Line) -> int:
    return int(line[0] or 0)


def _line(problem: RowProblem, kind: str) -> _Line:
    row = "" if problem.row is None else str(problem.row)
    cells = (problem.column or "", kind, str(problem.code), problem.message, problem.value or "")
    return (row, *map(_guarded, cells))


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
