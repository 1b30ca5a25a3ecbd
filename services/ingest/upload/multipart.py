"""Writes one part of a multipart body to a file while it is received. Only the current chunk is in memory."""

import hashlib
from pathlib import PurePosixPath, PureWindowsPath
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

_MAX_PARTS: Final = 20
_MAX_FILE_NAME_CHARS: Final = 255


class MalformedBody(ValueError):
    """The body is not what its content type says."""


class FileTooLarge(ValueError):
    """The file has more bytes than an upload may have."""


class FilePart:
    """Writes the part called `file` to a file and hashes it. Other parts are skipped."""

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
        self._ended = False
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
            return
        if self.file_name is not None:
            raise MalformedBody("The body has two parts called `file`: send one file at a time.")
        self.file_name = safe_file_name(options.get(b"filename", b""))

    def _write(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            return
        self.size += end - start
        if self.size > self._max_bytes:
            raise FileTooLarge
        part = memoryview(data)[start:end]
        self._file.write(part)
        self._hash.update(part)

    def _end(self) -> None:
        self._ended = True


def safe_file_name(name: bytes) -> str:
    """The name without directories and control characters, cut to 255 characters; `upload.csv` when nothing is left."""
    text = PureWindowsPath(PurePosixPath(name.decode(errors="replace")).name).name
    printable = "".join(sign for sign in text if sign.isprintable()).strip()
    return printable[:_MAX_FILE_NAME_CHARS] if printable.strip(".") else "upload.csv"
