"""Callers of the API go first: while one of them is being answered, the projection rests again and again."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: An answer takes a dozen turns of the loop, which are quick while the projection rests. It works longer in between,
#: so that those who ask all the time slow it down by a third.
_WORK_SECONDS: Final = 0.002
_REST_SECONDS: Final = 0.001
#: What is done at a time. Many turns of the loop cost more than they let others gain.
_HELPING_SECONDS: Final = 0.0005


class CallerPriority:
    """Who is being answered at the moment. The projection is slowed down by it, and never stopped."""

    def __init__(self) -> None:
        self._asking = 0
        self._rested_at = 0.0
        self._yielded_at = 0.0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around the work on an answer, without the time that its reader takes."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1

    async def yield_to_callers(self) -> None:
        """Between two bits of work, each of much less than half a millisecond."""
        now = time.monotonic()
        if now - self._yielded_at < _HELPING_SECONDS:
            return
        if self._asking and now - self._rested_at >= _WORK_SECONDS:
            await asyncio.sleep(_REST_SECONDS)
            self._rested_at = time.monotonic()
        else:
            await asyncio.sleep(0)
        self._yielded_at = time.monotonic()


#: For work that nobody asks about meanwhile.
NO_CALLERS: Final = CallerPriority()
