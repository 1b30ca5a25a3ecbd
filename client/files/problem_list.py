"""The errors and warnings of files as a CSV, for a spreadsheet: every one that the service lists."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from client.files.output_file import written_whole
from client.schemas import RowProblem

_HEAD: Final = ("file", "row", "column", "kind", "code", "message", "value")
#: What a spreadsheet would run. A phone number that begins with + or - is none.
_FORMULA: Final = re.compile(r"[=@\t\r]|[+-](?![\d ().+/-]*$)")


class ProblemList:
    """Collects problems; its length is their number."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, file: str, kind: str, problems: Sequence[RowProblem]) -> None:
        """Adds the problems of a file. `kind`: error or warning."""
        for each in problems:
            row = "" if each.row is None else str(each.row)
            cells = (file, row, each.column or "", kind, each.code or "", each.message, each.value or "")
            self._rows.append(tuple(_guarded(cell) for cell in cells))

    def save(self, target: Path, replace: bool) -> None:
        """Writes UTF-8 with a mark, as Excel needs it. Raises FileExists, OSError."""
        text = io.StringIO()
        csv.writer(text).writerows([_HEAD, *self._rows])
        with written_whole(target, replace) as file:
            file.write(text.getvalue().encode("utf-8-sig"))


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
