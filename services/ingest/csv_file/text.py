"""The text of an upload: is it text at all, and is it UTF-8?"""

import codecs
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final

_CHUNK: Final = 1 << 20
#: The longer mark first: UTF-32's begins with UTF-16's.
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
#: How files begin that people upload in place of a CSV.
_OTHER_KINDS: Final = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "a text document of a word processor",
}


class NotCsv(ValueError):
    """The file is of another kind altogether; the message names it and says what to do."""


class NotUtf8(ValueError):
    """The file is text in another encoding; the message says where, and what to do."""


def open_text(path: Path) -> TextIOWrapper:
    """The file as text, without its byte order mark, line ends as they are.

    All of it has been checked, so that reading cannot fail. Raises NotCsv and NotUtf8.
    """
    with path.open("rb") as file:
        _refuse_other_kinds(file.read(4096))
        file.seek(0)
        _refuse_other_encodings(file)
    return reopen_text(path)


def reopen_text(path: Path) -> TextIOWrapper:
    """The text of a file that has been checked before."""
    return path.open(encoding="utf-8-sig", newline="")


def _refuse_other_kinds(start: bytes) -> None:
    if encoding := _wide_encoding(start):
        raise NotUtf8(f"The file is {encoding}. Save it as CSV UTF-8 (Excel: Save As, CSV UTF-8) and upload it again.")
    for mark, kind in _OTHER_KINDS.items():
        if start.startswith(mark):
            raise NotCsv(f"The file is {kind}, not a CSV. Export it as CSV UTF-8 and upload that.")


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32, by its mark; or UTF-16 without one, by the zeros of its Latin letters."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    for zeros, letters in ((start[1::2], start[::2]), (start[::2], start[1::2])):
        if zeros and zeros.count(0) > 0.7 * len(zeros) and letters.count(0) < 0.1 * len(letters):
            return "UTF-16"
    return None


def _refuse_other_encodings(file: BinaryIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, line = 0, 1
    while chunk := file.read(_CHUNK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            start = position - pending + error.start
            line += error.object[: error.start].count(b"\n")
            raise _not_utf8(start, line, error.object[error.start]) from error
        position += len(chunk)
        line += chunk.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(position - len(error.object), line, error.object[0]) from error


def _not_utf8(position: int, line: int, byte: int) -> NotUtf8:
    return NotUtf8(
        f"The file is not UTF-8: byte 0x{byte:02X} at position {position} (line {line}) is not part of any character. "
        "Save it as CSV UTF-8 and upload it again."
    )
