"""Result files as workbooks (.xlsx), written as they are sent: no row is kept, and no temporary file is needed.

The libraries that write workbooks hand them out when the last row is known: a browser would see nothing for minutes.
A sheet is a ZIP archive with one large XML file, which Python's own `zipfile` can write as a stream.

Every cell of the input is text, also what looks like a number: phones keep their zeros, and nothing is a formula. The
columns are formatted as text too, so that it stays so when somebody corrects a cell.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

from sqlalchemy import Row

from services.status.result_files.result_cells import ResultCells
from shared.runtime.http.problems import Problem

#: What Excel opens, without the header.
_MAX_ROWS: Final = 1_048_575
_MAX_COLUMNS: Final = 16_384
#: More are more than the sheet may have, even with little in each.
_MAX_CELLS: Final = 30_000_000
#: What an archive's file may have without an extension that Excel does not read.
_MAX_SHEET_BYTES: Final = 2**31 - 1
#: So much of it is kept for the end, and for rows that are a little longer than their share.
_SPARE_BYTES: Final = 16_384
#: A cell without its text, and how much less an empty one is.
_CELL_BYTES, _LESS_WHEN_EMPTY = 64, 54
#: What stands in our own columns, about: two ids, a code and some numbers.
_OUR_CHARS: Final = 120
#: So much of an error is written in any case.
_LEAST_ERROR_CHARS: Final = 100
#: In UTF-16 units. Excel calls a workbook with more in one cell damaged, so the rest of it is cut off.
MAX_CELL_CHARS: Final = 32_767

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FIXED_PARTS: Final = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="hospitals" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    # Formats: 0 general, 1 text, 2 the header. 49 is Excel's own number for text.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill '
        'patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1">'
        "<border><left/><right/><top/><bottom/><diagonal/></border></borders>"
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}
_SHEET: Final = "xl/worksheets/sheet1.xml"
_END: Final = b"</sheetData></worksheet>"
_TEXT, _HEADER = 1, 2
#: What XML has no letters for or changes when it is read, and what Excel would take for the way to write that.
_UNWRITABLE: Final = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def fits(rows: int, columns: int, sample: Collection[Row[Any]] = ()) -> bool:
    """Whether a workbook can hold so many rows of so many columns, if they are about as long as those of the sample."""
    if rows > _MAX_ROWS or columns > _MAX_COLUMNS or rows * columns > _MAX_CELLS:
        return False
    length = sum(_about_bytes(row, columns) for row in sample) // max(1, len(sample))
    return rows * length <= _MAX_SHEET_BYTES - _SPARE_BYTES


def _about_bytes(row: Row[Any], columns: int) -> int:
    """How long a row becomes, with the least of its error: without reading its cells, of which there may be many."""
    empty: int = row.columns.count('""')
    text = len(row.columns.encode()) + len((row.error or "")[:_LEAST_ERROR_CHARS].encode())
    return columns * _CELL_BYTES - empty * _LESS_WHEN_EMPTY + text + _OUR_CHARS


class ResultWorkbook:
    """Writes one job's rows. What each method returns comes next in the file.

    `expected_rows`: about how many come. They share the room: errors that would leave none for the others are cut.
    """

    def __init__(self, cells: ResultCells, expected_rows: int, max_bytes: int = _MAX_SHEET_BYTES) -> None:
        self._cells = cells
        self._rows_left = expected_rows
        self._bytes_left = max_bytes
        self._written = _Written()
        # Little is won by more than the first level, and a million rows take their time.
        self._archive = ZipFile(self._written, "w", ZIP_DEFLATED, compresslevel=1)
        for name, content in _FIXED_PARTS.items():
            self._archive.writestr(name, _XML + content)
        self._sheet = self._archive.open(_SHEET, "w")

    def header(self) -> bytes:
        """The beginning of the file, with the first row."""
        columns = self._cells.columns
        self._write(
            f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
            '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
            f'<cols><col min="1" max="{len(columns)}" width="24" style="{_TEXT}" customWidth="1"/></cols><sheetData>'
            f"<row>{''.join(_cell(name, _HEADER) for name in columns)}</row>"
        )
        return self._written.take()

    def rows(self, rows: Iterable[Row[Any]], undecided: Collection[int] = ()) -> bytes:
        """A row for each. `undecided`: rows of unknown outcome about which nobody has decided.

        Raises a 409 problem when no more fits.
        """
        for row in rows:
            *cells, error = self._cells.of(row, undecided)
            begin = f"<row>{''.join(map(_cell, cells))}"
            share = (self._bytes_left - _SPARE_BYTES) // max(1, self._rows_left)
            room = share - len(begin.encode()) - _CELL_BYTES - len("</row>")
            self._write(f"{begin}{_cell(_shortened(str(error), room))}</row>")
            self._rows_left -= 1
        return self._written.take()

    def end(self) -> bytes:
        """The rest of the file. Without it no program opens the workbook."""
        self._sheet.write(_END)
        self.close()
        return self._written.take()

    def close(self) -> None:
        """Ends the archive, also one whose reader has gone."""
        self._sheet.close()
        self._archive.close()

    def _write(self, xml: str) -> None:
        content = xml.encode()
        if len(content) + len(_END) > self._bytes_left:
            raise Problem(
                409, "workbook_too_large", "No more fits into a workbook. Ask for the .csv: it holds all rows."
            )
        self._bytes_left -= len(content)
        self._sheet.write(content)


class _Written:
    """A file that nobody can go back in, as `zipfile` sees it: what was written since it was last asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Whoever takes what was written closes nothing."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _cell(value: str | int, style: int = _TEXT) -> str:
    if isinstance(value, int):
        return f'<c s="0"><v>{value}</v></c>'
    if not value:
        return f'<c s="{style}"/>'
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{_text(value)}</t></is></c>'


def _shortened(error: str, room: int) -> str:
    """The error, cut so that it takes about so many bytes, or the least of it."""
    length = len(_text(error).encode())
    if length <= room:
        return error
    return error[: max(_LEAST_ERROR_CHARS, len(error) * room // length)]


def _text(cell: str) -> str:
    if len(cell) * 2 > MAX_CELL_CHARS:
        cell = cell.encode("utf-16-le", "surrogatepass")[: MAX_CELL_CHARS * 2].decode("utf-16-le", "ignore")
    return _UNWRITABLE.sub(_written_as, cell)


def _written_as(found: re.Match[str]) -> str:
    return _MARKUP.get(found[0]) or f"_x{ord(found[0]):04X}_"
