"""When the next call may be made: slots of the wall clock, Retry-After, and a limiter of this process behind them."""

import asyncio
import time
from collections.abc import Callable, Collection

from aiolimiter import AsyncLimiter

from services.processor import metrics
from services.processor.limits.rate_slots import GRACE_SECONDS, RateSlots

#: If the last used slot begins later than this from now, the wall clock has been put back.
CLOCK_PUT_BACK_SECONDS = 1.0
#: The longest wait at a time: a rebalance may change which slots are ours.
LONGEST_WAIT_SECONDS = 0.25


class RateLimit:
    """The rate limit as one processor keeps it: `rate` calls per `period` seconds over all processors, 0 = no limit.

    `owned` tells the partition indices whose slots are ours now.
    """

    def __init__(
        self,
        rate: int,
        period: float,
        partitions: int,
        owned: Callable[[], Collection[int]],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._slots = RateSlots(rate, period, partitions) if rate else None
        self._limiter = AsyncLimiter(rate, period) if rate else None
        self._owned = owned
        self._clock = clock
        self._wall_clock = wall_clock
        self._used = -1
        self._not_before = 0.0  # monotonic

    def retry_after(self, seconds: float) -> None:
        """The directory sent Retry-After: this processor sends nothing for so long."""
        self._not_before = max(self._not_before, self._clock() + seconds)
        metrics.RETRY_AFTER_WAITS.inc()

    @property
    def retry_after_seconds(self) -> float:
        """How long the directory's Retry-After still lasts."""
        return max(self._not_before - self._clock(), 0.0)

    async def acquire(self) -> None:
        """Returns when a call may be made at once. While no partition is owned it does not return.

        Without a limit it returns without yielding to the event loop: one call per turn of the loop was too slow.
        """
        while True:
            if wait := self.retry_after_seconds:
                await asyncio.sleep(wait)
                continue
            if self._slots is None or self._limiter is None:
                return
            if await self._use_slot(self._slots, self._limiter):
                return

    async def _use_slot(self, slots: RateSlots, limiter: AsyncLimiter) -> bool:
        """Waits for the next slot of ours. False when it could not be used: try again."""
        if slots.begins(self._used) > self._wall_clock() + CLOCK_PUT_BACK_SECONDS:
            self._used = -1  # otherwise nothing would be sent until the clock has caught up
        slot = slots.next_slot(self._wall_clock(), self._owned(), self._used)
        if slot is None:
            await asyncio.sleep(GRACE_SECONDS)
            return False
        wait = slots.begins(slot) - self._wall_clock()
        if wait > 0:
            await asyncio.sleep(min(wait, LONGEST_WAIT_SECONDS))
            if wait > LONGEST_WAIT_SECONDS or slots.partition(slot) not in self._owned():
                return False  # too early still, or the slot is another processor's now
        self._used = slot
        late = self._wall_clock() - slots.begins(slot)
        if not 0 <= late <= slots.grace or not limiter.has_capacity() or self.retry_after_seconds:
            metrics.SLOTS.labels("wasted").inc()
            return False
        await limiter.acquire()
        metrics.SLOTS.labels("used").inc()
        return True
