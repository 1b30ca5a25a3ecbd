"""The rows of a sheet of an .xlsx, one at a time."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final
from xml.etree import ElementTree
from xml.parsers import expat

from services.ingest.csv_file.large_workbooks.number_formats import Kind, kinds, shown_number
from services.ingest.csv_file.large_workbooks.parts import BOOK, SHEETS, STYLES, TEXTS, Parts, local
from services.ingest.csv_file.large_workbooks.shared_texts import SharedTexts, local_name, read_shared_texts, unescaped

#: A workbook whose texts and sheets unpack to more is large: the library would need about seven times as much.
LARGE_BYTES: Final = 24 << 20
#: So many rows a sheet can have.
MOST_ROWS: Final = 1 << 20
_CHUNK_BYTES: Final = 256 << 10
_DAY_AND_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)
_PLACE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})")
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
            sizes = dict(Parts(packed).sizes())
    except UNREADABLE:
        return False
    read = (size for part, size in sizes.items() if part == TEXTS or part.startswith(SHEETS))
    return BOOK in sizes and sum(read) > large_bytes


class LargeWorkbook:
    """An .xlsx that is open. Every method raises one of UNREADABLE when it is damaged."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._parts = Parts(packed)
        book = self._parts.xml(BOOK)
        self._sheets = {each.name: each.part for each in self._parts.sheets(book) if each.is_visible}
        properties = next((each for each in book if local(each.tag) == "workbookPr"), None)
        self._starts_1904 = properties is not None and properties.get("date1904") in ("1", "true")

    @property
    def names(self) -> list[str]:
        """The sheets that are visible."""
        return list(self._sheets)

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet, from its first on; blank ones are empty lists."""
        texts, styles = SharedTexts(), {}
        if TEXTS in self._parts:
            with self._parts.open(TEXTS) as part:
                texts = read_shared_texts(part)
        if STYLES in self._parts:
            styles = dict(kinds(self._parts.xml(STYLES)))
        with self._parts.open(self._sheets[sheet]) as part:
            yield from _Rows(texts, styles, self._starts_1904).read(part)


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
        #: The number of the row that is read, as its cells write it; empty while it is not known.
        self.written_number = ""
        #: Where the next cell stands.
        self.column = 0
        self.kind = ""
        self.style = 0
        self.texts_of_cell: list[str] = []
        self.pieces: list[str] = []
        self.in_value = False
        self.in_phonetic = False

    def read(self, part: IO[bytes]) -> Iterator[Row]:
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
            self.written_number = ""
            if "r" in attributes:
                self._skip_to(int(attributes["r"]))
        elif name == "rPh":
            self.in_phonetic = True

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", 0))
        self.texts_of_cell.clear()
        if place := _PLACE.fullmatch(attributes.get("r", "")):
            if place.group(2) != self.written_number:
                self._check_row(int(place.group(2)))
            self.column = column_index(place.group(1))
        elif not self.written_number:
            self.written_number = str(self.number + 1)

    def _check_row(self, row: int) -> None:
        """Only by its first cell a row may say which it is."""
        if not self.written_number:
            self._skip_to(row)
        elif row != self.number + 1:
            raise ValueError("a cell of another row")

    def _skip_to(self, row: int) -> None:
        """Ends the rows above. One that is done cannot be filled any more: such a file is refused."""
        if not self.number < row <= MOST_ROWS:
            raise ValueError("a row that is not below the last one")
        for _ in range(self.number + 1, row):
            self._end_row()
        self.written_number = str(row)

    def _characters(self, text: str) -> None:
        if self.in_value:
            self.pieces.append(text)

    def _end(self, tag: str) -> None:
        name = tag if ":" not in tag else local_name(tag)
        if name == "c":
            self._put(self._value("".join(self.texts_of_cell)))
        elif name in ("v", "t"):
            self.texts_of_cell.append(unescaped("".join(self.pieces)))
            self.pieces.clear()
            self.in_value = False
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self.in_phonetic = False

    def _put(self, value: Any) -> None:
        if self.column == len(self.row):
            self.row.append(value)
        else:
            self.row.extend([""] * (self.column + 1 - len(self.row)))
            self.row[self.column] = value
        self.column += 1

    def _end_row(self) -> None:
        self.number += 1
        self.done.append(self.row)
        self.row = []
        self.column = 0

    def _value(self, text: str) -> Any:
        if not text:
            return ""
        match self.kind:
            case "s":
                return self.texts[int(text)]
            case "b":
                return text.strip().lower() in ("1", "true")
            case "d":
                return _day_and_time(text)
            case "n":
                return self._number(text)
        return text

    def _number(self, text: str) -> Any:
        """The number, day or time; the text when some program has written one there."""
        if "_" in text or not text.isascii():  # Python's own ways to write a number
            return text
        try:
            value = float(text)
        except ValueError:
            return text
        kind = self.styles.get(self.style)
        return shown_number(value, kind, self.starts_1904) if kind else value


def _day_and_time(text: str) -> datetime | str:
    """As Strict Open XML writes one; the text when it is another, or none."""
    with suppress(ValueError):
        if _DAY_AND_TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    return text


def column_index(letters: str) -> int:
    """A is 0, AA is 26."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
