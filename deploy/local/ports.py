"""TCP ports of 127.0.0.1."""

import random
import socket
from typing import Final

HOST: Final = "127.0.0.1"
#: Below the range from which systems take the near end of outgoing connections: a client that keeps trying to reach a
#: stopped server on a port inside that range ends up connected to itself, and then the server cannot come back.
_SERVER_PORTS: Final = range(20_000, 32_000)


def free_port() -> int:
    """A port that nobody listens on now; take it soon."""
    return next(port for port in random.sample(_SERVER_PORTS, len(_SERVER_PORTS)) if not is_taken(port))


def is_taken(port: int) -> bool:
    """Whether somebody listens on it, on 127.0.0.1 or on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False
