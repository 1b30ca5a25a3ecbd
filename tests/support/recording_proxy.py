"""A recording proxy between one processor and the directory: when was what requested, and when answered with 429?"""

import asyncio
import contextlib
import time
from typing import NamedTuple, Self
from urllib.parse import urlsplit

METHODS = ("GET ", "POST ", "PATCH ")
TOO_MANY = "HTTP/1.1 429"
GATEWAY_TIMEOUT = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"


class Request(NamedTuple):
    """A request as it passed; `wall` in seconds."""

    wall: float
    line: str


class RecordingProxy:
    """Give `url` to one processor as its directory; an async context manager.

    `requests` grows while it asks; `throttled_at` holds the wall-clock times, in seconds, at which it was answered 429.
    `gateway_timeout_for`: requests with these words in their first line go nowhere, and are answered 504.
    """

    def __init__(self, directory_url: str, gateway_timeout_for: str | None = None) -> None:
        self._directory = urlsplit(directory_url)
        self._gateway_timeout_for = gateway_timeout_for
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
        await asyncio.gather(self._forward(caller, to_directory, to_caller), self._forward(directory, to_caller))

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: asyncio.StreamWriter | None = None
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                line = chunk.partition(b"\r\n")[0].decode("latin-1")
                self._record(line)
                if back and self._gateway_timeout_for and self._gateway_timeout_for in line:
                    back.write(GATEWAY_TIMEOUT)
                else:
                    sink.write(chunk)
                    await sink.drain()
        sink.close()

    def _record(self, line: str) -> None:
        if line.startswith(METHODS):
            self.requests.append(Request(time.time(), line))
        elif line.startswith(TOO_MANY):
            self.throttled_at.append(time.time())
