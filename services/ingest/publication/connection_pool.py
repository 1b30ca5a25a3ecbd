"""Kafka connections that are used for one upload after the other. Connecting costs as much as a small upload."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.closing import STOP_SECONDS, end_client, stop_client
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import detach

#: Idle connections that are kept.
MAX_IDLE: Final = 8
#: Age at which a connection is closed: firewalls forget idle ones, and it may know the partitions of yesterday.
MAX_AGE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Connection:
    """A Kafka client that one upload uses at a time. `expires_at` is in the clock of its pool."""

    client: AIOKafkaClient
    expires_at: float
    is_open: bool = False

    async def open(self) -> None:
        """Connects, if it is new. Raises one of KAFKA_FAILURES."""
        if not self.is_open:
            await self.client.bootstrap()
            self.is_open = True

    async def ask(self) -> None:
        """Returns when Kafka answers a request for metadata. Raises one of KAFKA_FAILURES."""
        await self.open()
        if not await self.client.force_metadata_update():
            raise KafkaConnectionError("no broker answers")


class ConnectionPool:
    """Idle connections, of which the one used last is taken first. `clock`: seconds, never going back."""

    def __init__(
        self,
        settings: KafkaSettings,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._idle: deque[Connection] = deque(maxlen=MAX_IDLE)
        self._closed = False

    @property
    def idle(self) -> tuple[Connection, ...]:
        """The idle connections, the one used last at the end."""
        return tuple(self._idle)

    def acquire(self) -> Connection:
        """An idle connection, or a new one that is not open yet."""
        while self._idle:
            connection = self._idle.pop()
            if self._clock() < connection.expires_at:
                return connection
            close_connection(connection)
        options = {
            **kafka_options.connection_options(self.settings),
            "connections_max_idle_ms": int(1000 * self._max_age_seconds),
        }
        return Connection(AIOKafkaClient(**options), self._clock() + self._max_age_seconds)

    def release(self, connection: Connection) -> None:
        """Makes the connection idle. All of its requests have to be answered."""
        if self._closed or len(self._idle) == MAX_IDLE:
            close_connection(connection)
        else:
            self._idle.append(connection)

    def close_idle(self) -> None:
        """Closes all idle connections. Call it when Kafka did not answer on one: the others may be broken too."""
        while self._idle:
            close_connection(self._idle.pop())

    def close(self) -> None:
        """Closes the idle connections, and from now on each one that is released."""
        self._closed = True
        self.close_idle()


def close_connection(connection: Connection) -> None:
    """Closes it in the background, since closing waits for Kafka: nothing of it is left a few seconds later."""
    client = connection.client
    detach(asyncio.create_task(stop_client(client.close, STOP_SECONDS, partial(end_client, client))))
