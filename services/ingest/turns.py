"""Work that is done for a few at a time, first come, first served; nobody waits who would wait in vain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from services.ingest.metrics import PUBLISHING
from services.ingest.refusals import busy
from shared.problems import Problem, kafka_down

PATIENCE_SECONDS: Final = 1.3
#: How many may wait, whatever the pace: a few always, and no more than can be told in time that they waited in vain.
SHORTEST_LINE: Final = 24
LONGEST_LINE: Final = 192
#: Until the pace is known.
FIRST_LINE: Final = 96
#: How much the latest turn counts beside all before it.
_NEWS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that somebody has."""

    turns: "Turns"
    waited: bool
    #: How many were through when this one joined the line.
    before: int

    @property
    def is_one_of_many(self) -> bool:
        """Whether it waited for others that did get through: what takes too long now does so because of the crowd."""
        return self.waited and self.turns.through > self.before


class Turns:
    """The turns of one kind of work."""

    def __init__(self, at_a_time: int) -> None:
        self._free = asyncio.Semaphore(at_a_time)
        self._waiting = 0
        #: Seconds from the end of one turn to the end of the next, while others waited.
        self._seconds_each = PATIENCE_SECONDS / FIRST_LINE
        self._last_end: float | None = None
        #: How many got an answer of their own so far.
        self.through = 0

    @property
    def line_is_full(self) -> bool:
        """Whether one more would wait for longer than anybody waits, at the pace of late."""
        fits = int(PATIENCE_SECONDS / max(self._seconds_each, 0.001))
        return self._waiting >= min(max(fits, SHORTEST_LINE), LONGEST_LINE)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Turn]:
        """One turn. Raises Problem 503 after a second without."""
        turn = Turn(self, self._free.locked(), self.through)
        await self._wait(turn)
        PUBLISHING.inc()
        try:
            yield turn
            self.through += 1
        except Problem as problem:
            self.through += problem.status != 503
            raise
        finally:
            PUBLISHING.dec()
            self._learn_the_pace()
            self._free.release()

    async def _wait(self, turn: Turn) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            # Where nobody gets through in all that time it is not for too many uploads.
            raise busy() if turn.is_one_of_many else kafka_down() from error
        finally:
            self._waiting -= 1

    def _learn_the_pace(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._last_end is not None:
            self._seconds_each += _NEWS * (now - self._last_end - self._seconds_each)
        self._last_end = now if self._waiting else None
