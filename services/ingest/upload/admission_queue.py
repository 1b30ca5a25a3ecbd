"""Work that is done for a few at a time, first come, first served; nobody waits who would wait in vain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from services.ingest.metrics import PUBLISHING
from services.ingest.problems import busy
from shared.runtime.problems import Problem, kafka_down

PATIENCE_SECONDS: Final = 1.2
#: How many may wait, whatever the pace: a few always, and no more than can be told in time that they waited in vain.
SHORTEST_LINE: Final = 24
LONGEST_LINE: Final = 192
#: Until the pace is known.
FIRST_LINE: Final = 96
#: How much the latest turn counts beside all before it.
_NEWS: Final = 0.1
#: How many times slower than the pace so far a turn may count.
_SURPRISE: Final = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that somebody has."""

    turns: "Turns"
    waited: bool
    #: How many were through when this one came.
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
        self._taken = 0
        #: What a turn costs the others, in seconds.
        self._seconds_each = PATIENCE_SECONDS / FIRST_LINE
        #: Why the latest one did not get through, if it did not.
        self._outage: Exception | None = None
        #: How many got an answer of their own so far.
        self.through = 0

    @property
    def line_is_full(self) -> bool:
        """Whether one more would wait for longer than anybody waits, at the pace of late."""
        fits = PATIENCE_SECONDS / max(self._seconds_each, 0.001)
        return self._waiting >= min(max(fits, SHORTEST_LINE), LONGEST_LINE)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Turn]:
        """One turn. Raises Problem 503 after a second without."""
        turn = Turn(self, self._free.locked(), self.through)
        await self._wait(turn)
        PUBLISHING.inc()
        self._taken += 1
        began, side_by_side = asyncio.get_running_loop().time(), self._taken
        try:
            yield turn
            self._got_through()
        except Exception as error:
            if isinstance(error, Problem) and error.status != 503:
                self._got_through()
            else:
                self._outage = error
            raise
        finally:
            PUBLISHING.dec()
            self._learn_the_pace(asyncio.get_running_loop().time() - began, max(side_by_side, self._taken))
            self._taken -= 1
            self._free.release()

    def refusal(self) -> Exception:
        """For somebody who cannot even wait: busy, or the outage that kept the latest one from getting through."""
        if self._outage is None or isinstance(self._outage, Problem):
            return busy()
        return type(self._outage)(str(self._outage))

    def _got_through(self) -> None:
        self.through += 1
        self._outage = None

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

    def _learn_the_pace(self, seconds: float, side_by_side: int) -> None:
        # Side by side they share the processors; alone, or two of them, they wait for three quarters of the time.
        # A single slow one, at the end of a large upload say, is no slow pace yet: several are.
        news = min(seconds / max(4, side_by_side), _SURPRISE * self._seconds_each)
        self._seconds_each += _NEWS * (news - self._seconds_each)
