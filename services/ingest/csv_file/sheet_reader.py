"""Writes a sheet of a workbook as CSV. A program of its own, since it may need more memory than there is.

    python sheet_reader.py WORKBOOK TARGET MAX_ROWS SHEET

SHEET is JSON: a name, or null for the first visible sheet. Prints JSON: `name` and `names`, or `code` and `message`, or
`not_a_workbook`. It ends with another status than 0 when the workbook is too much for its limits, and at once when its
standard input is closed: then nobody waits for it any more.
"""

import csv
import json
import os
import re
import resource
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, time, timedelta
from math import isfinite
from pathlib import Path
from typing import IO, Any, Final

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the service may have been started anywhere

from services.ingest.csv_file.large_workbooks.parts import BOOK, Parts
from services.ingest.csv_file.large_workbooks.sheet_rows import (
    UNREADABLE,
    LargeWorkbook,
    column_index,
    is_large,
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
_CHUNK_BYTES: Final = 1 << 20
#: A cell's XML, with its formula.
_LONGEST_CELL: Final = 32 << 10
_ERROR_CELL: Final = re.compile(
    rb'<(?:\w+:)?c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]{1,3})(\d{1,7})"[^>]*>(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]{1,20})<',
    re.DOTALL,
)
#: What a spreadsheet shows for a number that is too large.
_NO_NUMBER: Final = "#NUM!"
_PROTECTED: Final = {
    "code": "protected_workbook",
    "message": "The workbook is protected by a password. Save it without one, or export the list as CSV UTF-8.",
}
_NOT_A_WORKBOOK: Final = (
    "The file is neither a CSV nor a workbook that can be read. Export the list as CSV UTF-8 and upload that."
)


class _Damaged(Exception):
    """The workbook cannot be read to its end."""


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
    if is_large(workbook):
        return write_large_sheet(workbook, target, max_rows, wanted)
    try:
        opened = load_workbook(workbook)
        names = _names(opened)
        if refused := _refused(names, wanted):
            return refused
        sheet = opened.get_sheet_by_name(wanted if wanted is not None else names[0])
    except PasswordError:
        return _PROTECTED
    except CalamineError:
        return _PROTECTED if _is_protected(workbook) else {"not_a_workbook": _NOT_A_WORKBOOK}
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the library's code in Rust has met what it did not expect
            raise
        return {"not_a_workbook": _NOT_A_WORKBOOK}
    errors = formula_errors(workbook, sheet.name)
    _write(_lines(_rows(sheet, errors), max_rows), target)
    return {"name": sheet.name, "names": names}


def write_large_sheet(workbook: Path, target: Path, max_rows: int, wanted: str | None) -> dict[str, Any]:
    """The same for a large .xlsx, of which no more is held than a row and the texts that cells share.

    Raises OSError when the target cannot be written: that says nothing about the workbook.
    """
    with ExitStack() as stack:
        try:
            opened = LargeWorkbook(stack.enter_context(zipfile.ZipFile(workbook)))
        except UNREADABLE:
            return {"not_a_workbook": _NOT_A_WORKBOOK}
        if refused := _refused(opened.names, wanted):
            return refused
        name = wanted if wanted is not None else opened.names[0]
        try:
            _write(_lines(_read(opened.rows(name)), max_rows), target)
        except _Damaged:
            return {"not_a_workbook": _NOT_A_WORKBOOK}
    return {"name": name, "names": opened.names}


def _read(rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """The rows. Raises _Damaged, which no writing raises."""
    try:
        yield from rows
    except UNREADABLE as error:
        raise _Damaged from error


def _refused(names: list[str], wanted: str | None) -> dict[str, Any] | None:
    if wanted is not None and wanted not in names:
        message = f"The workbook has no sheet {wanted[:100]!r}. It has: {_listed(names)}."
        return {"code": "unknown_sheet", "message": message}
    if not names:
        return {"code": "empty_file", "message": "The workbook has no visible sheet with cells."}
    return None


def _write(lines: Iterator[list[str]], target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


def _is_protected(workbook: Path) -> bool:
    """Whether it has a password. Only by the ending of its name does the library know which kind it has to be."""
    for ending in (".xls", ".xlsx", ".ods"):
        named = workbook.with_name(f"{workbook.name}{ending}")
        named.hardlink_to(workbook)
        try:
            load_workbook(named)
        except PasswordError:
            return True
        except CalamineError:
            continue
        finally:
            named.unlink()
    return False


def formula_errors(workbook: Path, sheet: str) -> dict[int, dict[int, str]]:
    """The errors in the cells of an .xlsx, such as #N/A, by row and column from 0. The library gives them as empty."""
    found: dict[int, dict[int, str]] = {}
    try:
        with zipfile.ZipFile(workbook) as packed, _part_of(Parts(packed), sheet) as part:
            before = b""
            while chunk := part.read(_CHUNK_BYTES):
                joined = before + chunk
                if b't="e"' in joined:
                    for cell in _ERROR_CELL.finditer(joined):
                        letters, row, text = (each.decode() for each in cell.groups())
                        found.setdefault(int(row) - 1, {})[column_index(letters)] = text.replace("&amp;", "&")
                before = joined[-_LONGEST_CELL:]
    except UNREADABLE:
        pass  # another kind of workbook, or one that only the library understands
    return found


def _part_of(parts: Parts, sheet: str) -> IO[bytes]:
    """The part of a sheet. Raises KeyError when it cannot be told."""
    return parts.open({each.name: each.part for each in parts.sheets(parts.xml(BOOK))}[sheet])


def _names(workbook: CalamineWorkbook) -> list[str]:
    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible is SheetVisibleEnum.Visible and sheet.typ is SheetTypeEnum.WorkSheet
    ]


def _listed(names: list[str]) -> str:
    listed = ", ".join(repr(name[:100]) for name in names[:10])
    return listed if len(names) <= 10 else f"{listed} and {len(names) - 10:,} more"


def _rows(sheet: CalamineSheet, errors: dict[int, dict[int, str]]) -> Iterator[list[Any]]:
    """The rows of the sheet from its first on, with the cells from its first column on."""
    # The library leaves out empty columns before the first, though not empty rows.
    before = [""] * sheet.start[1] if sheet.start else []
    for number, found in enumerate(sheet.iter_rows()):
        row = [*before, *found] if before else found
        for place, text in errors.get(number, {}).items():
            row[place : place + 1] = [text]
        yield row


def _lines(rows: Iterator[list[Any]], max_rows: int) -> Iterator[list[str]]:
    """The rows as text; at most so many that have a cell, with what stands above and one too many."""
    left = max_rows + _ROWS_ABOVE + 1
    for row in rows:
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
            return _NO_NUMBER if not isfinite(cell) else str(int(cell)) if cell.is_integer() else repr(cell)
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
    return str(cell)


if __name__ == "__main__":
    main(*sys.argv[1:])
