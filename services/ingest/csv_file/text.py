"""Opens an upload as text. Refuses files of other kinds and encodings other than UTF-8."""

import codecs
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final

CHUNK_BYTES: Final = 1 << 20
#: Byte order marks. UTF-32 stands first, because its mark begins with that of UTF-16.
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
#: The first bytes of other files that people upload by mistake.
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
    """The file is not text. The message names its kind and says what to do."""


class NotUtf8(ValueError):
    """The file is text in another encoding. The message gives the position and says what to do."""


def open_text(path: Path, chunk_bytes: int = CHUNK_BYTES) -> TextIOWrapper:
    """The file as text, without its byte order mark and with its line ends unchanged.

    The whole file is checked first, `chunk_bytes` at a time. Raises NotCsv and NotUtf8.
    """
    with path.open("rb") as file:
        _refuse_other_kinds(file.read(4096))
        file.seek(0)
        _refuse_other_encodings(file, chunk_bytes)
    return reopen_text(path)


def reopen_text(path: Path) -> TextIOWrapper:
    """The text of a file that `open_text` has checked before."""
    return path.open(encoding="utf-8-sig", newline="")


def _refuse_other_kinds(start: bytes) -> None:
    if encoding := _wide_encoding(start):
        raise NotUtf8(f"The file is {encoding}. Save it as CSV UTF-8 (Excel: Save As, CSV UTF-8) and upload it again.")
    for mark, kind in _OTHER_KINDS.items():
        if start.startswith(mark):
            raise NotCsv(f"The file is {kind}, not a CSV. Export it as CSV UTF-8 and upload that.")


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32 by the byte order mark; UTF-16 without a mark by the zero bytes of Latin letters."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    for zeros, letters in ((start[1::2], start[::2]), (start[::2], start[1::2])):
        if zeros and zeros.count(0) > 0.7 * len(zeros) and letters.count(0) < 0.1 * len(letters):
            return "UTF-16"
    return None


def _refuse_other_encodings(file: BinaryIO, chunk_bytes: int) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, line = 0, 1
    while chunk := file.read(chunk_bytes):
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
