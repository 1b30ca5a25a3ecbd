"""Slots for work that is done for a few uploads at a time, first come, first served."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from services.ingest.metrics import PUBLISHING
from services.ingest.problems import busy
from shared.runtime.http.problems import Problem, kafka_down

T = TypeVar("T")

#: How much the latest measurement counts beside all before it.
_WEIGHT: Final = 0.1
#: A single measurement counts as at most so many times the average.
_OUTLIER: Final = 4
#: No slot takes less, in seconds.
_FASTEST: Final = 0.001


class QueueBudget(Protocol):
    """How long an upload may wait, as far as it is needed here."""

    async def queue(self, work: Coroutine[Any, Any, T], at_most: float) -> T:
        """Waits for other uploads. Raises TimeoutError after `at_most` seconds, or sooner."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How long an upload waits for a slot, and how many may wait."""

    #: Longest wait, in seconds.
    wait_seconds: float = 1.2
    #: So many may always wait.
    min_length: int = 24
    #: No more may ever wait. So many can still be told in time that they waited for nothing.
    max_length: int = 192
    #: How many may wait until the time that a slot takes has been measured.
    first_length: int = 96


QUEUE_LIMITS: Final = QueueLimits()


@dataclass(frozen=True, slots=True)
class Slot:
    """One upload's permission to be worked on."""

    queue: "AdmissionQueue"
    waited: bool
    #: How many uploads had been answered when this one came.
    answered_before: int

    @property
    def others_were_answered(self) -> bool:
        """Whether it waited while others were answered. Then it is late because the service is busy, not down."""
        return self.waited and self.queue.answered > self.answered_before


class AdmissionQueue:
    """The slots of one kind of work, and the queue for them.

    The queue's length adapts to the time that a slot takes, so that nobody waits who would not get a slot in time.
    `clock`: seconds, never going back.
    """

    def __init__(
        self, slots: int, limits: QueueLimits = QUEUE_LIMITS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free = asyncio.Semaphore(slots)
        self._limits = limits
        self._clock = clock
        self._in_use = 0
        #: Average seconds between two slots that become free.
        self._seconds_each = limits.wait_seconds / limits.first_length
        #: Why the latest upload was not answered, if it was not.
        self._outage: Exception | None = None
        self.waiting = 0
        #: How many uploads got an answer other than 503.
        self.answered = 0

    @property
    def is_full(self) -> bool:
        """Whether one more upload would wait for too long."""
        limits = self._limits
        in_time = limits.wait_seconds / max(self._seconds_each, _FASTEST)
        return self.waiting >= min(max(in_time, limits.min_length), limits.max_length)

    @asynccontextmanager
    async def slot(self, budget: QueueBudget) -> AsyncIterator[Slot]:
        """A slot, from now until the end of the block. Raises Problem 503 when none becomes free in time."""
        slot = Slot(self, self._free.locked(), self.answered)
        await self._wait(slot, budget)
        PUBLISHING.inc()
        self._in_use += 1
        began, side_by_side = self._clock(), self._in_use
        try:
            yield slot
            self._note_answer()
        except Exception as error:
            if isinstance(error, Problem) and error.status != 503:
                self._note_answer()
            else:
                self._outage = error
            raise
        finally:
            PUBLISHING.dec()
            self._measure(self._clock() - began, max(side_by_side, self._in_use))
            self._in_use -= 1
            self._free.release()

    def rejection(self) -> Exception:
        """For an upload that may not even wait: the latest outage, or Problem 503 `busy` when there is none."""
        if self._outage is None or isinstance(self._outage, Problem):
            return busy()
        return type(self._outage)(str(self._outage))

    def _note_answer(self) -> None:
        self.answered += 1
        self._outage = None

    async def _wait(self, slot: Slot, budget: QueueBudget) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        self.waiting += 1
        acquiring = asyncio.create_task(self._free.acquire())
        try:
            await budget.queue(_end_of(acquiring), self._limits.wait_seconds)
        except TimeoutError as error:
            self._give_up(acquiring)
            # When nobody was answered in all that time, too many uploads are not the reason.
            raise busy() if slot.others_were_answered else kafka_down() from error
        except BaseException:
            self._give_up(acquiring)
            raise
        finally:
            self.waiting -= 1

    def _give_up(self, acquiring: asyncio.Task[Any]) -> None:
        # The slot may have become free at the same moment.
        if not acquiring.cancel():
            self._free.release()

    def _measure(self, seconds: float, side_by_side: int) -> None:
        # Uploads side by side share the processors. A few of them mostly wait for Kafka: they count as four.
        # A single slow one, such as at the end of a large upload, changes the average little; several change it.
        measured = min(seconds / max(4, side_by_side), _OUTLIER * self._seconds_each)
        self._seconds_each += _WEIGHT * (measured - self._seconds_each)


async def _end_of(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
