"""A TCP proxy in front of a broker that can drop all traffic silently, as a broken route or a firewall does."""

import asyncio
import contextlib
import struct
from typing import Self

from deploy.local.ports import HOST


class SwallowingProxy:
    """An async context manager. It replaces the broker's port in its metadata by its own."""

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
        self._broker_port_bytes = struct.pack(">i", self._broker_port)
        self._own_port_bytes = struct.pack(">i", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._cut()

    def swallow(self) -> None:
        """Drops all traffic from now on; connections stay open."""
        self._passing.clear()

    def let_through(self) -> None:
        """Lets traffic through again. Connections from the time before are closed, and what they sent is lost."""
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
            writer.write(data.replace(self._broker_port_bytes, self._own_port_bytes))
            await writer.drain()
        writer.close()
