"""A Kafka client that is made when it is first needed, and made anew after any failure.

An idempotent producer that has lost a record may never recover (aiokafka #1017), and a client whose `start` was given
up is of no use: none is worth keeping.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Client(Protocol):
    """A client of ours: its end takes a few seconds at most, and never fails."""

    async def start(self) -> None:
        """Connects."""

    async def stop(self) -> None:
        """Disconnects."""


C = TypeVar("C", bound=Client)


class ReconnectingClient(Generic[C]):
    """At most one client at a time."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._client: C | None = None
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def ready(self) -> C:
        """The client, connected. Raises one of KAFKA_FAILURES; waits for as long as the caller lets it."""
        async with self._starting:
            if self._client is None:
                client = self._make()
                try:
                    await client.start()
                except BaseException:
                    self._stop_later(client)
                    raise
                self._client = client
            return self._client

    def discard(self) -> None:
        """The client failed: the next one to need it gets a new one."""
        client, self._client = self._client, None
        if client is not None:
            self._stop_later(client)

    async def close(self) -> None:
        """Disconnects; waits a few seconds at most."""
        self.discard()
        await asyncio.gather(*self._stopping)

    def _stop_later(self, client: C) -> None:
        task = asyncio.create_task(client.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
