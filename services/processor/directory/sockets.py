"""Sockets to the directory, so that nothing of a call is delivered after the call was given up.

Linux goes on sending what was written to a socket, also when the socket has been closed and when the process has been
killed. A directory behind a network that was away for 42 s got a creation 51 s after it was written. Its look-up had
said long before that there was no such hospital, and the row had been sent again.
"""

import socket
import struct
from asyncio import BaseTransport, Transport
from collections.abc import Callable
from typing import Final

from aiohttp.connector import AddrInfoType

#: Linux has it. Elsewhere a killed process may leave a call behind that is delivered much later.
CAN_EXPIRE: Final = hasattr(socket, "TCP_USER_TIMEOUT")
#: On, 0 s: closing drops what was not sent.
_DROP_UNSENT: Final = struct.pack("ii", 1, 0)


def expiring_sockets(seconds: float) -> Callable[[AddrInfoType], socket.socket]:
    """Makes sockets whose connection breaks when what was written is not acknowledged for so many seconds.

    The kernel keeps to it also when the process has ended (tcp(7), TCP_USER_TIMEOUT).
    """

    def make(address: AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        if CAN_EXPIRE:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))
        return made

    return make


def drop_unsent(transport: BaseTransport | None) -> None:
    """Breaks a connection at once: nothing that was written to it and not yet acknowledged is sent again."""
    if transport is None:
        return
    used: socket.socket | None = transport.get_extra_info("socket")
    if used is not None and used.fileno() >= 0:
        used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
    if isinstance(transport, Transport):
        transport.abort()
