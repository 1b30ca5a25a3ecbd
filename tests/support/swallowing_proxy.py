"""A network between a client and a broker that can swallow everything, as a broken route or a firewall does."""

import asyncio
import contextlib
import struct
from typing import Self

from deploy.local.ports import HOST


class SwallowingProxy:
    """Stands in front of a broker; an async context manager. In what the broker says of itself it puts its own port."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def bootstrap(self) -> str:
        """Its address as host:port."""
        return f"{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._said = struct.pack(">i", self._broker_port)
        self._told = struct.pack(">i", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._cut()

    def swallow(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._passing.clear()

    def let_through(self) -> None:
        """What was swallowed stays lost: the connections of that time end."""
        self._cut()
        self._passing.set()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(HOST, self._broker_port)
            both = {writer, back}
            self._writers |= both
            try:
                await asyncio.gather(self._pipe(reader, back), self._pipe(there, writer))
            finally:
                self._writers -= both
                for each in both:
                    each.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._passing.wait()
            writer.write(data.replace(self._said, self._told))
            await writer.drain()
        writer.close()
