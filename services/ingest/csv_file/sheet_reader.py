"""Writes a sheet of a workbook as CSV. A program of its own, since it may need more memory than there is.

    python sheet_reader.py WORKBOOK TARGET MAX_ROWS SHEET

SHEET is JSON: a name, or null for the first visible sheet. Prints JSON: `name` and `names`, or `code` and `message`, or
`not_a_workbook`. It ends with another status than 0 when the workbook is too much for its limits, and at once when its
standard input is closed: then nobody waits for it any more.
"""

import csv
import json
import os
import resource
import sys
import threading
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

#: The process may have so much address space, in bytes, so much time of a CPU, in seconds, and write so many bytes.
MEMORY_BYTES: Final = 1536 << 20
CPU_SECONDS: Final = 60
TARGET_BYTES: Final = 1 << 30
#: Columns to the right of so many are left out, but for one, by which a reader sees that there are too many.
MAX_COLUMNS: Final = 1_001
#: Rows with cells that may stand above the data: titles and the header.
_ROWS_ABOVE: Final = 21
_NICENESS: Final = 5
_NOT_A_WORKBOOK: Final = (
    "The file is neither a CSV nor a workbook that can be read. Export the list as CSV UTF-8 and upload that."
)


def main(workbook: str, target: str, max_rows: str, sheet: str) -> None:
    """Writes the sheet and prints what it is called."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (TARGET_BYTES, TARGET_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer = write_sheet(Path(workbook), Path(target), int(max_rows), json.loads(sheet))
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # the thread still waits


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def write_sheet(workbook: Path, target: Path, max_rows: int, wanted: str | None) -> dict[str, Any]:
    """Writes the sheet to `target` and returns what is printed."""
    try:
        opened = load_workbook(workbook)
        names = _names(opened)
        if wanted is not None and wanted not in names:
            message = f"The workbook has no sheet {wanted[:100]!r}. It has: {_listed(names)}."
            return {"code": "unknown_sheet", "message": message}
        if not names:
            return {"code": "empty_file", "message": "The workbook has no visible sheet with cells."}
        sheet = opened.get_sheet_by_name(wanted if wanted is not None else names[0])
    except PasswordError:
        message = "The workbook is protected by a password. Save it without one, or export the list as CSV UTF-8."
        return {"code": "protected_workbook", "message": message}
    except CalamineError:
        return {"not_a_workbook": _NOT_A_WORKBOOK}
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_lines(sheet, max_rows))
    return {"name": sheet.name, "names": names}


def _names(workbook: CalamineWorkbook) -> list[str]:
    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible is SheetVisibleEnum.Visible and sheet.typ is SheetTypeEnum.WorkSheet
    ]


def _listed(names: list[str]) -> str:
    listed = ", ".join(repr(name[:100]) for name in names[:10])
    return listed if len(names) <= 10 else f"{listed} and {len(names) - 10:,} more"


def _lines(sheet: CalamineSheet, max_rows: int) -> Iterator[list[str]]:
    """The sheet from its first row on; at most so many that have a cell, with what stands above and one too many."""
    left = max_rows + _ROWS_ABOVE + 1
    for row in sheet.iter_rows():
        cells = [cell if type(cell) is str else _text(cell) for cell in _cut(row)]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            left -= 1
        yield cells or [""]
        if not left:
            return


def _cut(row: list[Any]) -> list[Any]:
    """The first cells of a row. What stands beyond stands in the last of them, so that it is told as one too many."""
    if len(row) <= MAX_COLUMNS:
        return row
    beyond = next((cell for cell in row[MAX_COLUMNS - 1 :] if cell != ""), "")
    return [*row[: MAX_COLUMNS - 1], beyond]


def _text(cell: Any) -> str:
    """A cell as the spreadsheet shows it without any format: 5.0 is 5, a day has no time."""
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case float():
            return str(int(cell)) if cell.is_integer() else repr(cell)
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
    return str(cell)


if __name__ == "__main__":
    main(*sys.argv[1:])
