"""TCP ports of 127.0.0.1."""

import random
import socket
from collections import deque
from typing import Final

HOST: Final = "127.0.0.1"
#: Below the range from which systems take the near end of outgoing connections: a client that keeps trying to reach a
#: stopped server on a port inside that range ends up connected to itself, and then the server cannot come back.
_SERVER_PORTS: Final = range(20_000, 32_000)


#: In the order in which they are given, and after the last the first again.
_order: Final = deque(random.sample(_SERVER_PORTS, len(_SERVER_PORTS)))


def free_port() -> int:
    """A port that nobody listens on now, and that was not given before; take it soon. Raises OSError."""
    for _ in range(len(_order)):
        _order.rotate(-1)
        if not is_taken(_order[0]):
            return _order[0]
    raise OSError("all ports are taken")


def keep_to(share: int, of: int) -> None:
    """From now on gives only each `of`th port: processes with different shares never give the same one."""
    kept = [port for port in _order if port % of == share]
    _order.clear()
    _order.extend(kept)


def is_taken(port: int) -> bool:
    """Whether somebody listens on it, on 127.0.0.1 or on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False
