"""A recording proxy between one processor and the directory: when was what requested, and when answered with 429?"""

import asyncio
import contextlib
import time
from typing import NamedTuple, Self
from urllib.parse import urlsplit

METHODS = ("GET ", "POST ", "PATCH ")
TOO_MANY = "HTTP/1.1 429"


class Request(NamedTuple):
    """A request as it passed; `wall` in seconds."""

    wall: float
    line: str


class RecordingProxy:
    """Give `url` to one processor as its directory; an async context manager.

    `requests` grows while it asks; `throttled_at` holds the wall-clock times, in seconds, at which it was answered 429.
    """

    def __init__(self, directory_url: str) -> None:
        self._directory = urlsplit(directory_url)
        self.requests: list[Request] = []
        self.throttled_at: list[float] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, caller: asyncio.StreamReader, to_caller: asyncio.StreamWriter) -> None:
        try:
            directory, to_directory = await asyncio.open_connection(self._directory.hostname, self._directory.port)
        except OSError:
            to_caller.close()
            return
        await asyncio.gather(self._forward(caller, to_directory), self._forward(directory, to_caller))

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                self._record(chunk)
                sink.write(chunk)
                await sink.drain()
        sink.close()

    def _record(self, chunk: bytes) -> None:
        line = chunk.partition(b"\r\n")[0].decode("latin-1")
        if line.startswith(METHODS):
            self.requests.append(Request(time.time(), line))
        elif line.startswith(TOO_MANY):
            self.throttled_at.append(time.time())
