"""How many uploads are worked on at a time: the others are told to come back, instead of waiting without end."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Final

from services.ingest.problems import busy
from services.ingest.upload.admission_queue import Turn, Turns

MAX_UPLOADS: Final = 256
#: Small uploads at a time. More of them only make each other slow: nearly all that they cost is computing.
MAX_SMALL: Final = 8
#: Large ones that publish at a time.
MAX_LARGE: Final = 24


class Admission:
    """A door for uploads, and narrower ones for those that are worked on. Who cannot be served soon is told at once."""

    def __init__(self, uploads: int = MAX_UPLOADS, small: int = MAX_SMALL, large: int = MAX_LARGE) -> None:
        self._uploads = uploads
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._small = Turns(small)
        self._large = Turns(large)

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Room for one upload. Where there is none, or too many wait for their turn, raises at once: Problem 503, or
        what the outage is that they wait for."""
        if self._inside == self._uploads:
            raise busy()
        if self._small.line_is_full:
            raise self._small.refusal()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def empty(self, seconds: float) -> None:
        """Returns when no upload is inside, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    def small(self) -> AbstractAsyncContextManager[Turn]:
        """The turn of a small upload. Raises Problem 503 after a second."""
        return self._small.take()

    def large(self) -> AbstractAsyncContextManager[Turn]:
        """The same for a large one that is ready to be published."""
        return self._large.take()
