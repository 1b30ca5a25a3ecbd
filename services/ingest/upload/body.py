"""Writes the body of an upload to a file. Every limit is checked while it is received."""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from services.ingest.upload.admission import AdmittedUpload
from services.ingest.upload.multipart import FilePart, FileTooLarge, MalformedBody
from shared.runtime.http.problems import Problem

#: Most bytes of a multipart body besides the file: boundaries, headers, small fields.
WRAPPING_BYTES: Final = 128 * 1024
_SUFFIXES: Final = ("", ".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


@dataclass(frozen=True, slots=True)
class BodyTimeouts:
    """How long a client may take, in seconds."""

    #: To send anything more of the body.
    chunk_seconds: float = 20.0
    #: From then on the upload does not count any more, until it goes on.
    silent_seconds: float = 1.0
    #: To send all of it, at first.
    body_seconds: float = 600.0
    #: Every so many bytes that have come give a second more: a large file may come over a slow line.
    body_bytes_per_second: float = 16_000.0
    #: How long the rest of a refused body is read. A client that is still sending may not read the answer.
    drain_seconds: float = 1.0

    def whole_seconds(self, received: int) -> float:
        """How long the body may take in all, by what has come of it, in bytes."""
        return self.body_seconds + received / self.body_bytes_per_second


BODY_TIMEOUTS: Final = BodyTimeouts()


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file on disk. `size` is in bytes, `sha256` in hexadecimal digits."""

    path: Path
    name: str
    sha256: str
    size: int
    #: The form fields beside it, by their names.
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)


async def receive_file(
    request: Request, directory: Path, max_bytes: int, upload: AdmittedUpload, timeouts: BodyTimeouts = BODY_TIMEOUTS
) -> UploadedFile:
    """The part `file` of the request's body, written into `directory`. Raises Problem: 400, 408, 413, 415, 503."""
    try:
        return await _receive_file(request, directory, max_bytes, _chunks(request, upload, timeouts))
    except Problem:
        await drain_body(request, timeouts.drain_seconds)
        raise


async def drain_body(request: Request, seconds: float) -> None:
    """Reads the rest of a refused body for at most so long. A client that is still sending may not read the answer."""
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(seconds):
            async for _ in request.stream():
                pass


async def _receive_file(
    request: Request, directory: Path, max_bytes: int, chunks: AsyncIterator[bytes]
) -> UploadedFile:
    boundary = _boundary(request)
    _refuse_by_headers(request, max_bytes)
    path = directory / "upload.csv"
    with path.open("wb") as file:
        try:
            part = FilePart(boundary, file, max_bytes)
            await _feed(part, chunks, max_bytes + WRAPPING_BYTES)
        except MalformedBody as error:
            raise Problem(400, "malformed_body", str(error)) from error
        except FileTooLarge as error:
            raise _too_large(max_bytes) from error
        except OSError as error:
            raise _disk(error) from error
    if part.file_name is None:
        raise _no_file()
    if PurePosixPath(part.file_name).suffix.lower() not in _SUFFIXES:
        detail = f"{part.file_name!r} is neither a CSV nor a workbook. Export the list as CSV UTF-8 and upload that."
        raise Problem(415, "not_a_csv", detail)
    fields = {name: [value.decode(errors="replace") for value in values] for name, values in part.fields.items()}
    return UploadedFile(path, part.file_name, part.sha256, part.size, fields)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data" and options.get(b"boundary"):
        return options[b"boundary"]
    if kind in (b"", b"multipart/form-data", b"application/x-www-form-urlencoded"):
        raise _no_file()
    raise Problem(415, "unsupported_media_type", "Send the CSV as the part `file` of a multipart/form-data body.")


def _refuse_by_headers(request: Request, max_bytes: int) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported_encoding", "Send the file as it is: compressed bodies are not read.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes + WRAPPING_BYTES:
        raise _too_large(max_bytes)


async def _feed(part: FilePart, chunks: AsyncIterator[bytes], max_body: int) -> None:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_body:
            raise FileTooLarge
        part.feed(chunk)
    part.finish()


async def _chunks(request: Request, upload: AdmittedUpload, timeouts: BodyTimeouts) -> AsyncIterator[bytes]:
    """The body as it arrives. The upload counts while it does, and from its end on.

    Raises Problem 408 when it takes too long, 503 when it goes on and there are too many, and MalformedBody when it
    breaks off.
    """
    chunks = request.stream()
    loop = asyncio.get_running_loop()
    begun, received = loop.time(), 0
    try:
        async with asyncio.timeout_at(begun + timeouts.whole_seconds(0)) as whole:
            while True:
                silence = loop.call_later(timeouts.silent_seconds, upload.discount)
                try:
                    async with asyncio.timeout(timeouts.chunk_seconds):
                        chunk = await anext(chunks, None)
                finally:
                    silence.cancel()
                upload.count()
                if chunk is None:
                    return
                received += len(chunk)
                whole.reschedule(begun + timeouts.whole_seconds(received))
                yield chunk
    except TimeoutError as error:
        raise Problem(408, "upload_too_slow", "The upload took too long. Please send it again.") from error
    except ClientDisconnect as error:
        raise MalformedBody("The upload was cut off before its end. Please send it again.") from error


def _no_file() -> Problem:
    return Problem(
        400, "no_file", "The request has no file: send the CSV as the part `file` of a multipart/form-data body."
    )


def _too_large(max_bytes: int) -> Problem:
    limit = f"{max_bytes / (1024 * 1024):,.0f} MB" if max_bytes >= 1024 * 1024 else f"{max_bytes:,} bytes"
    return Problem(413, "file_too_large", f"The file is larger than {limit}. Split it and upload the parts one by one.")


def _disk(error: OSError) -> Problem:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(503, "storage_full", "There is no room for the upload at the moment.", retry_after=60)
    raise error
