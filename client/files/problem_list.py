"""The errors and warnings of files as a CSV, for a spreadsheet: all of them, however many there are."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from client.api import Api
from client.files.local_files import LocalFile
from client.files.output_file import written_whole
from client.files.reading_options import ReadingOptions
from client.schemas import ErrorsFound, RowProblem, ValidationReport
from client.upload_file import UploadFile

_HEAD: Final = ("file", "row", "column", "kind", "code", "message", "value")
#: What a spreadsheet would run. A phone number that begins with + or - is none.
_FORMULA: Final = re.compile("[=@\t\r\n\uff1d\uff20]|[+\uff0b\uff0d-](?![0-9 ().+/-]*$)")


class ProblemList:
    """Collects the problems of files. `folder`: for lists that are too long for memory; None: nobody wants them."""

    def __init__(self, api: Api, folder: Path | None) -> None:
        self._api = api
        self._folder = folder
        self._parts: list[tuple[str, Path | list[tuple[str, ...]]]] = []

    def add(self, file: LocalFile, options: ReadingOptions, found: ErrorsFound) -> None:
        """Adds all problems of a file. Those that `found` does not list are fetched. Raises what the API raises."""
        if self._folder is None:
            return
        report = found if isinstance(found, ValidationReport) else None
        warnings = report.warnings if report else []
        total = found.errors_count + (report.warnings_count if report else 0)
        if total > len(found.errors) + len(warnings):
            target = self._folder / f"{len(self._parts)}.csv"
            if self._api.problem_list(UploadFile(file.path, file.name), options.parameters, target):
                self._parts.append((file.name, target))
                return
        lines = [*_lines("error", found.errors), *_lines("warning", warnings)]
        self._parts.append((file.name, lines))

    def save(self, target: Path, replace: bool) -> int:
        """Writes UTF-8 with a mark, as Excel needs it. Returns the number of problems. Raises FileExists, OSError."""
        with written_whole(target, replace) as file:
            return self._write(file)

    def _write(self, file: BinaryIO) -> int:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        writer, count = csv.writer(text), 0
        writer.writerow(_HEAD)
        for name, part in self._parts:
            for line in _lines_of(part) if isinstance(part, Path) else part:
                writer.writerow((_guarded(name), *line))
                count += 1
        text.detach()
        return count


def _lines(kind: str, problems: Sequence[RowProblem]) -> Iterator[tuple[str, ...]]:
    for each in problems:
        row = "" if each.row is None else str(each.row)
        cells = (row, each.column or "", kind, each.code or "", each.message, each.value or "")
        yield tuple(map(_guarded, cells))


def _lines_of(list_: Path) -> Iterable[tuple[str, ...]]:
    """The service has written it, and has guarded its cells."""
    with list_.open(encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file):
            yield tuple(line.get(column) or "" for column in _HEAD[1:])


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
