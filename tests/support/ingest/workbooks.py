"""Workbooks for tests: written by XlsxWriter, and some that only an enemy would write."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xlsxwriter


def xlsx(sheets: Mapping[str, Iterable[Sequence[Any]]], **options: Any) -> bytes:
    """A workbook with these sheets. Text stays text, numbers are numbers."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_urls": False, **options}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, str):
                        sheet.write_string(number, column, cell)
                    else:
                        sheet.write(number, column, cell)
    return file.getvalue()


def with_cell(book: bytes, cell: str) -> bytes:
    """The workbook with one more cell of its first sheet filled, far outside: `XFD1048576`."""
    row = cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    more = f'<row r="{row}"><c r="{cell}" t="n"><v>1</v></c></row></sheetData>'
    return _replaced(book, "xl/worksheets/sheet1.xml", b"</sheetData>", more.encode())


def bomb(book: bytes, megabytes: int) -> bytes:
    """The workbook with a sheet that unpacks to so much."""
    return _replaced(book, "xl/worksheets/sheet1.xml", b"</sheetData>", b"</sheetData>" + b" " * (megabytes << 20))


def with_empty_rows(book: bytes, rows: int) -> bytes:
    """The workbook with so many rows that are formatted and hold nothing."""
    more = b"".join(b'<row r="%d"><c r="A%d" s="0"/></row>' % (row, row) for row in range(1_000, 1_000 + rows))
    return _replaced(book, "xl/worksheets/sheet1.xml", b"</sheetData>", more + b"</sheetData>")


def _replaced(book: bytes, part: str, old: bytes, new: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for each in before.infolist():
            content = before.read(each)
            after.writestr(each.filename, content.replace(old, new) if each.filename == part else content)
    return file.getvalue()
