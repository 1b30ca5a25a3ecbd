"""TCP ports of 127.0.0.1."""

import random
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

HOST: Final = "127.0.0.1"
#: Below the range from which systems take the near end of outgoing connections. A client that keeps trying to reach a
#: stopped server on a port of that range can end up connected to itself, and then the server cannot come back.
_SERVER_PORTS: Final = range(20_000, 32_000)


class PortSequence:
    """Gives each of its ports once, and after the last one begins again with the first."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = deque(ports)

    def free_port(self) -> int:
        """The next port that nobody listens on now; take it soon. Raises OSError when all are taken."""
        for _ in range(len(self._ports)):
            self._ports.rotate(-1)
            if not is_taken(self._ports[0]):
                return self._ports[0]
        raise OSError("all ports are taken")

    def keep_to(self, share: int, of: int) -> None:
        """From now on gives only each `of`th port: processes with different shares never give the same one."""
        self._ports = deque(port for port in self._ports if port % of == share)


def is_taken(port: int) -> bool:
    """Whether somebody listens on it, on 127.0.0.1 or on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False


#: One sequence for the whole process, in random order, so that no port is given twice soon.
_sequence: Final = PortSequence(random.sample(_SERVER_PORTS, len(_SERVER_PORTS)))
free_port: Final = _sequence.free_port
keep_to: Final = _sequence.keep_to
