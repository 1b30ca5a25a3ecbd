"""A Kafka client that is made when it is first needed, and made anew after any failure.

An idempotent producer that has lost a record may never recover (aiokafka #1017), and a client whose `start` was given
up is of no use: none is worth keeping.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, Protocol, TypeVar

from shared.runtime.kafka.kafka_options import KAFKA_FAILURES
from shared.runtime.timeouts import run_with_timeout

_STOP_SECONDS: Final = 5.0


class Client(Protocol):
    """What all of aiokafka's clients have."""

    async def start(self) -> None:
        """Connects."""

    async def stop(self) -> None:
        """Disconnects."""


C = TypeVar("C", bound=Client)


class ReconnectingClient(Generic[C]):
    """At most one client at a time. `stop` takes the client and the seconds it has; without it the client's own."""

    def __init__(
        self, make: Callable[[], C], stop: Callable[[C, float], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        self._make = make
        self._stop = stop or _stop
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
        task = asyncio.create_task(self._stop(client, _STOP_SECONDS))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


async def _stop(client: Client, seconds: float) -> None:
    # stop() waits for what was not delivered, for ever while the broker is down (aiokafka #1101).
    with contextlib.suppress(*KAFKA_FAILURES):
        await run_with_timeout(seconds, client.stop())
