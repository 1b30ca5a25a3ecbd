"""The rows of a sheet of an .xlsx, one at a time."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final
from xml.etree import ElementTree
from xml.parsers import expat

from services.ingest.csv_file.large_workbooks.number_formats import Kind, kinds, shown_number
from services.ingest.csv_file.large_workbooks.shared_texts import SharedTexts, local_name, read_shared_texts, unescaped

#: A workbook whose texts and sheets unpack to more is large: the library would need about seven times as much.
LARGE_BYTES: Final = 24 << 20
#: So many rows a sheet can have.
MOST_ROWS: Final = 1 << 20
_CHUNK_BYTES: Final = 256 << 10
_RELATION_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PLACE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_BOOK: Final = "xl/workbook.xml"
_TEXTS: Final = "xl/sharedStrings.xml"
_STYLES: Final = "xl/styles.xml"
#: What can be wrong with such a file.
UNREADABLE: Final = (
    KeyError,
    IndexError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    expat.ExpatError,
    ElementTree.ParseError,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
)
Row = list[Any]


def is_large(workbook: Path, large_bytes: int = LARGE_BYTES) -> bool:
    """Whether it is an .xlsx that unpacks to so much, by the archive's own list."""
    try:
        with zipfile.ZipFile(workbook) as packed:
            sizes = {part.filename: part.file_size for part in packed.infolist()}
    except UNREADABLE:
        return False
    read = (size for name, size in sizes.items() if name == _TEXTS or name.startswith("xl/worksheets/"))
    return _BOOK in sizes and sum(read) > large_bytes


class LargeWorkbook:
    """An .xlsx that is open. Every method raises one of UNREADABLE when it is damaged."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        book = self._xml(_BOOK)
        sheets = [each for each in book.iter() if _name(each) == "sheet"]
        relations = self._xml("xl/_rels/workbook.xml.rels")
        targets = {each.get("Id"): each for each in relations if each.get("Type", "").endswith("/worksheet")}
        self._parts = {
            each.get("name", ""): _part(targets[each.get(_RELATION_ID)].get("Target", ""))
            for each in sheets
            if each.get("state", "visible") == "visible" and each.get(_RELATION_ID) in targets
        }
        properties = next((each for each in book if _name(each) == "workbookPr"), None)
        self._starts_1904 = properties is not None and properties.get("date1904") in ("1", "true")

    @property
    def names(self) -> list[str]:
        """The sheets that are visible."""
        return list(self._parts)

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet, from its first on; blank ones are empty lists."""
        texts, styles = SharedTexts(), {}
        if _TEXTS in self._packed.namelist():
            with self._packed.open(_TEXTS) as part:
                texts = read_shared_texts(part)  # type: ignore[arg-type]
        if _STYLES in self._packed.namelist():
            styles = dict(kinds(self._xml(_STYLES)))
        with self._packed.open(self._parts[sheet]) as part:
            yield from _Rows(texts, styles, self._starts_1904).read(part)  # type: ignore[arg-type]

    def _xml(self, part: str) -> ElementTree.Element:
        # Whatever somebody has put in there: the process has limits.
        return ElementTree.fromstring(self._packed.read(part))  # noqa: S314


class _Rows:
    """Takes what the parser finds, and keeps the rows that are whole."""

    def __init__(self, texts: SharedTexts, styles: Mapping[int, Kind], starts_1904: bool) -> None:
        self.texts = texts
        self.styles = styles
        self.starts_1904 = starts_1904
        self.done: list[Row] = []
        self.row: Row = []
        #: How many rows are done, in all.
        self.number = 0
        self.kind = ""
        self.style = 0
        self.texts_of_cell: list[str] = []
        self.pieces: list[str] = []
        self.in_value = False
        self.in_phonetic = False

    def read(self, part: BinaryIO) -> Iterator[Row]:
        """The rows of the part."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        while chunk := part.read(_CHUNK_BYTES):
            parser.Parse(chunk)
            yield from self.done
            self.done.clear()
        parser.Parse(b"", True)
        yield from self.done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag if ":" not in tag else local_name(tag)
        if name == "c":
            self._begin_cell(attributes)
        elif name in ("v", "t"):
            self.pieces.clear()
            self.in_value = not self.in_phonetic
        elif name == "row":
            number = int(attributes.get("r", 0))
            if number > MOST_ROWS:
                raise ValueError("a row beyond the last one")
            for _ in range(self.number + 1, number):
                self._end_row()
        elif name == "rPh":
            self.in_phonetic = True

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", 0))
        self.texts_of_cell.clear()
        if place := _PLACE.fullmatch(attributes.get("r", "")):
            index = column_index(place.group(1))
            self.row.extend([""] * (index - len(self.row)))
            del self.row[index:]

    def _characters(self, text: str) -> None:
        if self.in_value:
            self.pieces.append(text)

    def _end(self, tag: str) -> None:
        name = tag if ":" not in tag else local_name(tag)
        if name == "c":
            self.row.append(self._value("".join(self.texts_of_cell)))
        elif name in ("v", "t"):
            self.texts_of_cell.append(unescaped("".join(self.pieces)))
            self.pieces.clear()
            self.in_value = False
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self.in_phonetic = False

    def _end_row(self) -> None:
        self.number += 1
        self.done.append(self.row)
        self.row = []

    def _value(self, text: str) -> Any:
        if self.kind == "s":
            return self.texts[int(text)] if text else ""
        if self.kind == "b":
            return text.strip() in ("1", "true")
        if self.kind == "n" and text:
            value = float(text)
            kind = self.styles.get(self.style)
            return shown_number(value, kind, self.starts_1904) if kind else value
        return text


def column_index(letters: str) -> int:
    """A is 0, AA is 26."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def _part(target: str) -> str:
    return target[1:] if target.startswith("/") else f"xl/{target}"


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
