"""The network between machines and servers: connections whose bytes come late, or never, and that break.

As TCP, a connection keeps the order of its bytes. What is written while the way is cut is delivered when it is back,
also when the writer has given the connection up or has been killed meanwhile: the kernel goes on sending. Only sockets
with `TCP_USER_TIMEOUT` (those to the directory) stop after that time.
"""

import asyncio
import contextvars
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulation.virtual_loop import Machine, VirtualLoop

Address = tuple[str, int]


class Server(Protocol):
    """What listens at an address."""

    def connected(self, connection: "Connection") -> None:
        """A client has connected."""

    def received(self, connection: "Connection", data: bytes) -> None:
        """Bytes have come."""

    def disconnected(self, connection: "Connection") -> None:
        """The client has closed the connection, or it broke."""


@dataclass
class Way:
    """The way from one machine to one address: how long bytes take, in seconds, and until when it is cut."""

    shortest: float = 0.0002
    longest: float = 0.002
    cut_until: float = 0.0
    #: New connections are refused until then, and old ones broken.
    refused_until: float = 0.0

    def delay(self, chance: random.Random, now: float = 0.0) -> float:
        """How long bytes take that are sent now, or again when the way is open.

        A kernel sends again at ever longer intervals, so after a cut it may wait for as long as the cut lasted.
        """
        cut = max(self.cut_until - now, 0.0)
        waits = cut * (1 + chance.random()) if cut else 0.0
        return waits + self.shortest + chance.random() ** 3 * (self.longest - self.shortest)


@dataclass(eq=False)
class Connection:
    """One connection, as the network and its server see it."""

    network: "Network"
    machine: Machine
    address: Address
    way: Way
    server: Server
    transport: "Transport"
    opened_at: float
    #: Whether the server's end is open.
    open: bool = True
    _last_to_server: float = 0.0
    _last_to_client: float = 0.0
    #: What the server keeps about it.
    state: dict[str, Any] = field(default_factory=dict)
    _unsent_dropped: bool = False

    def to_server(self, data: bytes, expires: float | None) -> None:
        """The client writes. `expires`: the moment from which on the kernel gives up sending it."""
        self._send_to_server(data, expires)

    def _send_to_server(self, data: bytes | None, expires: float | None) -> None:
        loop, network = self.network.loop, self.network
        arrives = loop.now + self.way.delay(network.chance, loop.now)
        arrives = self._last_to_server = max(arrives, self._last_to_server)
        if expires is not None and arrives > expires:
            network.later(expires, self._breaks)
            return
        network.later(arrives, self._arrives, data, expires)

    def _arrives(self, data: bytes | None, expires: float | None) -> None:
        if not self.open:
            return
        if self._unsent_dropped and self.network.chance.random() < 0.5:
            return
        if self.way.cut_until > self.network.loop.now:  # it was cut while the bytes were on their way
            self._send_to_server(data, expires)
        elif data is None:
            self._closed_by_client()
        else:
            self.server.received(self, data)

    def to_client(self, data: bytes) -> None:
        """The server answers."""
        if self.open:
            self._send_to_client(data)

    def _send_to_client(self, data: bytes | None) -> None:
        loop = self.network.loop
        arrives = loop.now + self.way.delay(self.network.chance, loop.now)
        arrives = self._last_to_client = max(arrives, self._last_to_client)
        self.network.later(arrives, self._answers, data)

    def _answers(self, data: bytes | None) -> None:
        if self.way.cut_until > self.network.loop.now:
            self._send_to_client(data)
        elif data is None:
            self.transport.lose(ConnectionResetError("connection lost"))
        else:
            self.network.on_moment(self.machine, self.address)
            self.transport.deliver(data)

    def break_off(self) -> None:
        """The server closes it, or breaks."""
        if self.open:
            self.open = False
            self.server.disconnected(self)
            self.network.connections.pop(self, None)
            self._send_to_client(None)

    def closed(self, *, drop_unsent: bool) -> None:
        """The client has closed it. What it wrote before may still arrive, unless it drops what is unsent."""
        self._unsent_dropped = drop_unsent
        self._send_to_server(None, None)

    def _breaks(self) -> None:
        self.transport.lose(TimeoutError(110, "Connection timed out"))
        self._closed_by_client()

    def _closed_by_client(self) -> None:
        if self.open:
            self.open = False
            self.network.connections.pop(self, None)
            self.server.disconnected(self)


class Transport(asyncio.Transport):
    """The client's end of a connection."""

    def __init__(self, loop: VirtualLoop, protocol: Any, sock: socket.socket | None) -> None:
        super().__init__({"socket": sock, "peername": ("10.0.0.1", 1), "sockname": ("10.0.0.2", 2)})
        self.connection: Connection | None = None
        self._loop = loop
        self._protocol = protocol
        self._context = contextvars.copy_context()
        self._closing = False
        self._lost = False
        self._paused = False
        self._waiting: list[bytes] = []
        self._socket = sock

    def write(self, data: Any) -> None:
        if self._closing or self.connection is None:
            return
        self.connection.network.on_moment(self.connection.machine, self.connection.address)
        expires = None
        if self._socket is not None:  # one that expires, see services.processor.directory.sockets
            seconds = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
            expires = self._loop.now + seconds if seconds else None
        self.connection.to_server(bytes(data), expires)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def deliver(self, data: bytes) -> None:
        """Bytes have come for the protocol."""
        self._loop.call_soon(self._deliver, data, context=self._context)

    def _deliver(self, data: bytes) -> None:
        if self._closing:
            return
        if self._paused:
            self._waiting.append(data)
        else:
            self._protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        """The other end has gone."""
        self._loop.call_soon(self._lose, error, context=self._context)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._protocol.connection_lost(error)
            if self._socket is not None:
                self._socket.close()

    def close(self) -> None:
        self._close(drop_unsent=False)

    def abort(self) -> None:
        self._close(drop_unsent=True)

    def _close(self, *, drop_unsent: bool) -> None:
        if not self._closing and self.connection is not None:
            self._closing = True
            self.connection.closed(drop_unsent=drop_unsent)
            self.lose(None)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.deliver(data)

    def is_reading(self) -> bool:
        return not self._paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There are none."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]


class Network:
    """All ways and connections. `servers` listen at their addresses."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.chance = loop.chance
        self.servers: dict[Address, Server] = {}
        self.connections: dict[Connection, None] = {}
        self.happened: Counter[str] = Counter()
        self._ways: dict[tuple[str, Address], Way] = {}
        self._addresses: dict[int, Address] = {}
        #: Told of each connection that a machine opens, and of each message that it writes or gets, just before.
        self.on_moment: Callable[[Machine, Address], None] = lambda _machine, _address: None
        self._context = loop.on(loop.world)
        loop.network = self

    def later(self, at: float, callback: Callable[..., None], *args: Any) -> None:
        """Something happens on the way, whatever becomes of the machines."""
        self.loop.call_at(at, callback, *args, context=self._context)

    def way(self, machine: Machine, address: Address) -> Way:
        """The way between a machine and an address."""
        return self._ways.setdefault((machine.name, address), Way())

    def cut(self, machine: Machine, address: Address, seconds: float) -> None:
        """Nothing comes through for so long; TCP keeps it."""
        way = self.way(machine, address)
        way.cut_until = max(way.cut_until, self.loop.now + seconds)

    def refuse(self, machine: Machine, address: Address, seconds: float) -> None:
        """New connections are refused for so long."""
        way = self.way(machine, address)
        way.refused_until = max(way.refused_until, self.loop.now + seconds)

    def heal(self, slow: Address) -> None:
        """All ways are open, and the way to an address that may have been slow is not."""
        for (_, address), way in self._ways.items():
            way.cut_until = way.refused_until = 0.0
            if address == slow:
                way.longest = min(way.longest, 0.05)

    def break_connections(self, address: Address, machine: Machine | None = None) -> None:
        """Breaks all connections to an address, or those of one machine."""
        for connection in list(self.connections):
            if connection.address == address and machine in (None, connection.machine):
                connection.break_off()

    def machine_died(self, machine: Machine) -> None:
        """The kernel closes the connections of a killed process: it still sends what was written."""
        for connection in list(self.connections):
            if connection.machine is machine:
                connection.closed(drop_unsent=False)

    async def connect_socket(self, sock: socket.socket, address: Address) -> None:
        """What `connect` of a socket does."""
        await self._handshake(self.loop.machine, address)
        self._addresses[sock.fileno()] = address

    async def connect(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None,
        port: int | None,
        sock: socket.socket | None,
    ) -> tuple[Transport, asyncio.BaseProtocol]:
        """What `create_connection` of the loop does."""
        machine = self.loop.machine
        if sock is not None:
            address = self._addresses.pop(sock.fileno())
        else:
            address = (str(host), int(port or 0))
            await self._handshake(machine, address)
        protocol = protocol_factory()
        transport = Transport(self.loop, protocol, sock)
        server = self.servers[address]
        connection = Connection(self, machine, address, self.way(machine, address), server, transport, self.loop.now)
        transport.connection = connection
        self.connections[connection] = None
        server.connected(connection)
        protocol.connection_made(transport)
        return transport, protocol

    async def _handshake(self, machine: Machine, address: Address) -> None:
        self.on_moment(machine, address)
        way = self.way(machine, address)
        while way.cut_until > self.loop.now:  # noqa: ASYNC110 - as a kernel, which sends its SYN again
            await asyncio.sleep(min(way.cut_until - self.loop.now, 1.0) + way.delay(self.chance))
        await asyncio.sleep(2 * way.delay(self.chance))
        if address not in self.servers or way.refused_until > self.loop.now:
            raise ConnectionRefusedError(111, f"connection refused by {address[0]}:{address[1]}")
