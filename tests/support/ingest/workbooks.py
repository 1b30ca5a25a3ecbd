"""Workbooks for tests: written by XlsxWriter, and some that only an enemy would write."""

import io
import random
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

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


def ods(rows: Iterable[Sequence[str]]) -> bytes:
    """A workbook of LibreOffice with one sheet of text."""
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    lines = ("".join(cell.format(escape(text)) for text in row or [""]) for row in rows)
    cells = "".join(f"<table:table-row>{line}</table:table-row>" for line in lines)
    content = (
        f'<office:document-content xmlns:office="{office}office:1.0" xmlns:table="{office}table:1.0" '
        f'xmlns:text="{office}text:1.0" office:version="1.2"><office:body><office:spreadsheet>'
        f'<table:table table:name="Liste">{cells}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        f'<m:manifest xmlns:m="{office}manifest:1.0"><m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>'
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        book.writestr("mimetype", kind)
        book.writestr("META-INF/manifest.xml", manifest)
        book.writestr("content.xml", content)
    return file.getvalue()


def damaged_workbook(book: bytes, number: int) -> bytes:
    """The workbook with something cut out, doubled or changed, always the same for a number."""
    chance = random.Random(number)
    content = bytearray(book)
    for _ in range(chance.randint(1, 8)):
        begin = chance.randrange(4, len(content) - 1)
        end = min(len(content), begin + chance.randint(1, 200))
        piece = chance.choice([b"", bytes(content[begin:end]) * 2, chance.randbytes(end - begin), b"\0" * 9])
        content[begin:end] = piece
    return bytes(content)


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


def with_parts(book: bytes, parts: Mapping[str, bytes | str | None]) -> bytes:
    """The workbook with these parts in place of its own, or added; None: without the part."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        kept = {each.filename: before.read(each) for each in before.infolist()}
        for name, content in (kept | dict(parts)).items():
            if content is not None:
                after.writestr(name, content)
    return file.getvalue()


def _replaced(book: bytes, part: str, old: bytes, new: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for each in before.infolist():
            content = before.read(each)
            after.writestr(each.filename, content.replace(old, new) if each.filename == part else content)
    return file.getvalue()
