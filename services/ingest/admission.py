"""How many uploads are worked on at a time: the others are told to come back, instead of waiting without end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final

from services.ingest.metrics import PUBLISHING
from shared.problems import Problem, kafka_down

MAX_UPLOADS: Final = 256
#: Small uploads at a time. More of them only make each other slow: nearly all that they cost is computing.
MAX_SMALL: Final = 8
#: Large ones that publish at a time.
MAX_LARGE: Final = 24
MAX_WAITING: Final = 48
PATIENCE_SECONDS: Final = 0.8


class Admission:
    """A door for uploads, and narrower ones for those that are worked on. Who cannot be served soon is told at once."""

    def __init__(self, uploads: int = MAX_UPLOADS, small: int = MAX_SMALL, large: int = MAX_LARGE) -> None:
        self._free = uploads
        self._small = asyncio.Semaphore(small)
        self._large = asyncio.Semaphore(large)
        self._waiting = 0
        #: How many got an answer of their own so far.
        self._through = 0

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Room for one upload. Raises Problem 503 at once when there is none, or too many wait for their turn."""
        if not self._free or self._waiting >= MAX_WAITING:
            raise busy()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def small(self) -> AbstractAsyncContextManager[bool]:
        """The turn of a small upload, first come, first served; True when it had to wait for it.

        Raises Problem 503 after less than a second.
        """
        return self._turn(self._small)

    def large(self) -> AbstractAsyncContextManager[bool]:
        """The same for a large one that is ready to be published."""
        return self._turn(self._large)

    @asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncIterator[bool]:
        before, waits = self._through, turns.locked()
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await turns.acquire()
        except TimeoutError as error:
            # Where nobody gets through in all that time it is not for too many uploads.
            raise busy() if self._through > before else kafka_down() from error
        finally:
            self._waiting -= 1
        PUBLISHING.inc()
        try:
            yield waits
            self._through += 1
        except Problem:
            self._through += 1
            raise
        finally:
            PUBLISHING.dec()
            turns.release()


def busy() -> Problem:
    """Come back soon."""
    return Problem(503, "busy", "Too many uploads at the moment. Please try again in a few seconds.", retry_after=2)
