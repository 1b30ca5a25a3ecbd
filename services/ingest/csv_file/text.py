"""An upload as text: which encoding reads it, and how its lines are to be read."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from services.ingest.csv_file.encodings import CHUNK_BYTES, find_encoding
from services.ingest.csv_file.records import RecordLines, RecordTooLong

#: A quote after a delimiter and a space. RFC 4180 would read it as a part of the field.
_SPACED_QUOTE: Final = re.compile(r'([,;\t]) +"')


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that can be read as text. It can be opened as often as needed."""

    path: Path
    #: The codec that reads it.
    encoding: str
    #: The delimiters after which quotes stand behind a space: `a, "b"`.
    spaced: frozenset[str] = frozenset()

    def open(self) -> TextIOWrapper:
        """The text, without its byte order mark and with its line ends unchanged."""
        return self.path.open(encoding=self.encoding, newline="")


def text_file(path: Path, encoding: str | None = None, chunk_bytes: int = CHUNK_BYTES) -> TextFile:
    """Reads the whole file once, `chunk_bytes` at a time. `encoding`: the codec that the request names.

    Raises EncodingUnknown and EncodingWrong.
    """
    codec = find_encoding(path, encoding, chunk_bytes)
    file = TextFile(path, codec)
    with file.open() as text:
        suspected = _suspected(text, chunk_bytes)
    return TextFile(path, codec, frozenset(each for each in suspected if _is_spaced(file, each))) if suspected else file


def _suspected(text: TextIOWrapper, chunk_bytes: int) -> set[str]:
    """The delimiters that are followed by a space and a quote, whether inside of quotes or not."""
    found: set[str] = set()
    before = ""
    while chunk := text.read(chunk_bytes):
        if ' "' in (joined := before + chunk):  # quick to see, and rare
            found.update(_SPACED_QUOTE.findall(joined))
        before = chunk[-20:]
    return found


def _is_spaced(file: TextFile, delimiter: str) -> bool:
    """Whether a field begins with a space and a quote as it stands in the file."""
    raw: list[str] = []

    def kept(lines: RecordLines) -> Iterator[str]:
        for line in lines:
            raw.append(line)
            yield line

    with file.open() as text:
        lines = RecordLines(text)
        records = csv.reader(kept(lines), delimiter=delimiter)
        while True:
            lines.begin_record()
            try:
                cells = next(records)
            except (StopIteration, RecordTooLong, csv.Error):
                return False
            record = "".join(raw)
            raw.clear()
            if any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' and delimiter + cell in record for cell in cells):
                return True
