"""Which kind a file is, by its first bytes: a text, a workbook, or something that is no list at all."""

from enum import Enum
from pathlib import Path
from typing import Final

#: With parts, without any, and in pieces.
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_COMPOUND_FILE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE: Final = _COMPOUND_FILE[:4]
#: The first bytes of other files that people upload by mistake.
_OTHER_KINDS: Final = {
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "a text document of a word processor",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"SQLite format 3": "a database",
    b"PAR1": "a Parquet file",
}


class FileKind(Enum):
    """What the file is read as."""

    TEXT = "text"
    WORKBOOK = "workbook"


class NotCsv(ValueError):
    """The file is neither a text nor a workbook. The message names its kind and says what to do."""


def is_compound_file(path: Path) -> bool:
    """Whether the file begins as an old workbook does, or a new one with a password."""
    with path.open("rb") as file:
        return file.read(len(_COMPOUND_FILE)) == _COMPOUND_FILE


def file_kind(path: Path) -> FileKind:
    """How the file is to be read, whatever its name ends with. Raises NotCsv."""
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith((*_ZIP, _OLE)):
        return FileKind.WORKBOOK
    for mark, kind in _OTHER_KINDS.items():
        if start.startswith(mark):
            raise NotCsv(f"The file is {kind}. Export the list as CSV UTF-8 or as an Excel workbook and upload that.")
    return FileKind.TEXT
