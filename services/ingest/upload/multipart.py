"""Multipart bytes as they come in become one file on disk. Nothing is held but the current chunk."""

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
    """The file has more bytes than one upload may have."""


class FilePart:
    """The part called `file` of a multipart body, written to a file while it is hashed. Other parts are skipped."""

    def __init__(self, boundary: bytes, file: BinaryIO, max_bytes: int) -> None:
        """Raises MalformedBody when the boundary cannot be one."""
        self._file = file
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._parts = 0
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._wanted = False
        self._ended = False
        #: The file's name without any path; None until the part was seen.
        self.file_name: str | None = None
        self.size = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_field,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_data,
                    "on_part_data": self._take_data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise MalformedBody("The multipart boundary is too long.") from error

    @property
    def sha256(self) -> str:
        """Of the file's bytes so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the body. Raises MalformedBody and FileTooLarge."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedBody("The body is not well-formed multipart/form-data.") from error

    def finish(self) -> None:
        """The body has ended. Raises MalformedBody when the parts had not."""
        if not self._ended:
            raise MalformedBody("The upload was cut off before its end. Please send it again.")

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise MalformedBody(f"The body has more than {_MAX_PARTS} parts.")
        self._headers = {}

    def _take_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _begin_data(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._wanted = options.get(b"name") == b"file"
        if not self._wanted:
            return
        if self.file_name is not None:
            raise MalformedBody("The body has two parts called `file`: send one file at a time.")
        self.file_name = plain_name(options.get(b"filename", b""))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if not self._wanted:
            return
        self.size += end - start
        if self.size > self._max_bytes:
            raise FileTooLarge
        part = memoryview(data)[start:end]
        self._file.write(part)
        self._hash.update(part)

    def _end(self) -> None:
        self._ended = True


def plain_name(name: bytes) -> str:
    """A file's name as a person wrote it, without directories, control characters or more than 255 characters."""
    text = PureWindowsPath(PurePosixPath(name.decode(errors="replace")).name).name
    printable = "".join(sign for sign in text if sign.isprintable()).strip()
    return printable[:_MAX_FILE_NAME_CHARS] if printable.strip(".") else "upload.csv"
