"""How many uploads are worked on at a time: the others are told to come back, instead of waiting without end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from services.ingest.metrics import PUBLISHING
from shared.problems import Problem

MAX_UPLOADS: Final = 256
MAX_PUBLISHING: Final = 32
PATIENCE_SECONDS: Final = 1.0


class Admission:
    """A door for uploads, and a narrower one for those that publish."""

    def __init__(self, uploads: int = MAX_UPLOADS, publishing: int = MAX_PUBLISHING) -> None:
        self._free = uploads
        self._publishing = asyncio.Semaphore(publishing)

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Room for one upload. Raises Problem 503 at once when there is none."""
        if not self._free:
            raise _busy()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Room to publish one job. Waits a second at most, then raises Problem 503."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._publishing.acquire()
        except TimeoutError as error:
            raise _busy() from error
        PUBLISHING.inc()
        try:
            yield
        finally:
            PUBLISHING.dec()
            self._publishing.release()


def _busy() -> Problem:
    return Problem(503, "busy", "Too many uploads at the moment. Please try again in a few seconds.", retry_after=2)
