"""Callers of the API go first: while one of them is being answered, the projection pauses again and again."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: How long the projection works between two pauses, and pauses. An answer takes a dozen turns of the event loop, which
#: are quick during a pause. Callers that ask all the time slow the projection down by a third.
_WORK_SECONDS: Final = 0.002
_PAUSE_SECONDS: Final = 0.001
#: The projection works for so long between two turns of the loop: more turns cost more than they let others gain.
_TURN_SECONDS: Final = 0.0005


class CallerPriority:
    """How many callers are being answered. That slows the projection down, and never stops it."""

    def __init__(self) -> None:
        self._asking = 0
        self._paused_at = 0.0
        self._yielded_at = 0.0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around the work on an answer; the time in which its reader takes it does not count."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1

    async def yield_to_callers(self) -> None:
        """Call it between two pieces of work, each of much less than half a millisecond."""
        now = time.monotonic()
        if now - self._yielded_at < _TURN_SECONDS:
            return
        if self._asking and now - self._paused_at >= _WORK_SECONDS:
            await asyncio.sleep(_PAUSE_SECONDS)
            self._paused_at = time.monotonic()
        else:
            await asyncio.sleep(0)
        self._yielded_at = time.monotonic()


#: For work beside which nobody is answered.
NO_CALLERS: Final = CallerPriority()
