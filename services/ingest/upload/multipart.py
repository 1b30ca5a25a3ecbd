"""Writes one part of a multipart body to a file while it is received.

Only the current chunk and short fields are in memory.
"""

import hashlib
import re
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from pathlib import PurePosixPath, PureWindowsPath
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

_MAX_PARTS: Final = 20
_MAX_FILE_NAME_CHARS: Final = 255
_MAX_FIELD_BYTES: Final = 64 * 1024
_EXTENDED: Final = re.compile(rb";\s*filename\*\s*=\s*\"?([\w-]+)'[^']*'([^;\"\s]+)", re.IGNORECASE)


class MalformedBody(ValueError):
    """The body is not what its content type says."""


class FileTooLarge(ValueError):
    """The file has more bytes than an upload may have."""


class FilePart:
    """Writes the part called `file` to a file and hashes it. Other parts are fields, of at most 64 KiB together."""

    def __init__(self, boundary: bytes, file: BinaryIO, max_bytes: int) -> None:
        """Raises MalformedBody when the boundary is too long."""
        self._file = file
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._parts = 0
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_file = False
        self._field_name = ""
        self._field_bytes = 0
        self._ended = False
        #: The values of the other parts by their names, in the order of the body.
        self.fields: dict[str, list[bytes]] = {}
        #: The file's name without any path; None until its part begins.
        self.file_name: str | None = None
        self.size = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_field,
                    "on_header_value": self._add_to_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_data,
                    "on_part_data": self._write,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise MalformedBody("The multipart boundary is too long.") from error

    @property
    def sha256(self) -> str:
        """The hash of the bytes so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    def feed(self, chunk: bytes) -> None:
        """Parses the next bytes of the body. Raises MalformedBody and FileTooLarge."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedBody("The body is not well-formed multipart/form-data.") from error

    def finish(self) -> None:
        """Call it after the last byte. Raises MalformedBody when the last part is incomplete."""
        if not self._ended:
            raise MalformedBody("The upload was cut off before its end. Please send it again.")

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise MalformedBody(f"The body has more than {_MAX_PARTS} parts.")
        self._headers = {}

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _begin_data(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._is_file = options.get(b"name") == b"file"
        if not self._is_file:
            self._field_name = options.get(b"name", b"").decode(errors="replace")
            self.fields.setdefault(self._field_name, []).append(b"")
            return
        if self.file_name is not None:
            raise MalformedBody("The body has two parts called `file`: send one file at a time.")
        self.file_name = safe_file_name(sent_file_name(self._headers[b"content-disposition"]))

    def _write(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._add_to_value_of_field(data[start:end])
            return
        self.size += end - start
        if self.size > self._max_bytes:
            raise FileTooLarge
        part = memoryview(data)[start:end]
        self._file.write(part)
        self._hash.update(part)

    def _add_to_value_of_field(self, data: bytes) -> None:
        self._field_bytes += len(data)
        if self._field_bytes > _MAX_FIELD_BYTES:
            raise FileTooLarge
        self.fields[self._field_name][-1] += data

    def _end(self) -> None:
        self._ended = True


def sent_file_name(disposition: bytes) -> str:
    """The name of the part's file, in any of the three ways that clients write one.

    `filename*` (RFC 8187) goes first, as RFC 6266 says; then an encoded word (RFC 2047), as .NET writes; then UTF-8.
    """
    if extended := _EXTENDED.search(disposition):
        with suppress(LookupError, UnicodeDecodeError):
            return unquote_to_bytes(extended.group(2)).decode(extended.group(1).decode())
    _, options = parse_options_header(disposition)
    name = options.get(b"filename", b"").decode(errors="replace")
    if "=?" in name:
        with suppress(LookupError, ValueError, HeaderParseError):
            return str(make_header(decode_header(name)))
    return name


def safe_file_name(name: str) -> str:
    """The name without directories and control characters, cut to 255 characters; `upload.csv` when nothing is left."""
    text = PureWindowsPath(PurePosixPath(name).name).name
    printable = "".join(sign for sign in text if sign.isprintable()).strip()
    return printable[:_MAX_FILE_NAME_CHARS] if printable.strip(".") else "upload.csv"
