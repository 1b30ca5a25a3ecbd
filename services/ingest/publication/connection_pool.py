"""Connections to Kafka: one upload's at a time, and then the next one's. Connecting costs as much as a small upload."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from aiokafka.client import AIOKafkaClient

from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import detach, run_with_timeout

#: After so long a connection is not used again: firewalls forget the quiet ones, and it may know old partitions.
LIFE_SECONDS: Final = 60.0
#: Kept for the next uploads.
MAX_IDLE: Final = 8


@dataclass(slots=True)
class Connection:
    """A client of Kafka's that belongs to nobody else at the moment."""

    client: AIOKafkaClient
    best_before: float
    is_open: bool = False

    async def open(self) -> None:
        """Connects, unless that was done for an upload before."""
        if not self.is_open:
            await self.client.bootstrap()
            self.is_open = True


class Connections:
    """Lends connections, the one used last first. Nothing connects before a connection is opened."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._idle: deque[Connection] = deque(maxlen=MAX_IDLE)
        self._closed = False

    def lend(self) -> Connection:
        """An idle connection, or a new one that is not open yet."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if now < connection.best_before:
                return connection
            _close(connection)
        options = {
            **kafka_options.connection_options(self.settings),
            "connections_max_idle_ms": int(1000 * LIFE_SECONDS),
        }
        return Connection(AIOKafkaClient(**options), now + LIFE_SECONDS)

    def take_back(self, connection: Connection) -> None:
        """For the next: no request of it may be without an answer."""
        if self._closed or len(self._idle) == MAX_IDLE:
            _close(connection)
        else:
            self._idle.append(connection)

    def distrust(self) -> None:
        """Kafka did not answer on one of them: the idle ones may be as dead, which only the next upload would find."""
        while self._idle:
            _close(self._idle.pop())

    def close(self) -> None:
        """Closes the idle ones, and from now on each that comes back."""
        self._closed = True
        self.distrust()


def _close(connection: Connection) -> None:
    """In the background: it takes as long as Kafka does."""
    detach(asyncio.create_task(run_with_timeout(30.0, connection.client.close())))
