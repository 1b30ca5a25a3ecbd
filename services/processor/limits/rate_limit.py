"""When the next call may be made: the wall clock's slots, Retry-After, and behind them a limiter for this process."""

import asyncio
import time
from collections.abc import Callable, Collection

from aiolimiter import AsyncLimiter

from services.processor import metrics
from services.processor.limits.rate_slots import GRACE_SECONDS, Slots

#: A slot that was used this far ahead of now: the wall clock has been put back.
CLOCK_PUT_BACK_SECONDS = 1.0


class Pace:
    """The pace of one processor; `owned` tells the partition indices whose slots are ours now."""

    def __init__(self, rate: int, period: float, partitions: int, owned: Callable[[], Collection[int]]) -> None:
        self._slots = Slots(rate, period, partitions) if rate else None
        self._limiter = AsyncLimiter(rate, period) if rate else None
        self._owned = owned
        self._used = -1
        self._not_before = 0.0  # monotonic

    def retry_after(self, seconds: float) -> None:
        """The directory asked for silence: it binds this processor."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)
        metrics.RETRY_AFTER_WAITS.inc()

    @property
    def silent_seconds(self) -> float:
        """How long the directory's wish for silence still lasts."""
        return max(self._not_before - time.monotonic(), 0.0)

    async def turn(self) -> None:
        """Returns when a call may be made at once. Without anything owned it does not return until something is.

        Without a limit it lets the caller go on in the same turn of the event loop: a call a turn was the bound.
        """
        while True:
            if wait := self.silent_seconds:
                await asyncio.sleep(wait)
                continue
            if self._slots is None or self._limiter is None:
                return
            if await self._slot(self._slots, self._limiter):
                return

    async def _slot(self, slots: Slots, limiter: AsyncLimiter) -> bool:
        if slots.begins(self._used) > time.time() + CLOCK_PUT_BACK_SECONDS:
            self._used = -1  # else nothing would be sent until the clock is there again
        slot = slots.next_slot(time.time(), self._owned(), self._used)
        if slot is None:
            await asyncio.sleep(GRACE_SECONDS)
            return False
        wait = slots.begins(slot) - time.time()
        if wait > 0:
            # Not longer than a moment at a time: what is owned changes with a rebalance.
            await asyncio.sleep(min(wait, 0.25))
            if wait > 0.25 or slot % slots.partitions not in self._owned():
                return False  # meanwhile the slot may have become somebody else's
        self._used = slot
        late = time.time() - slots.begins(slot)
        if not 0 <= late <= slots.grace or not limiter.has_capacity() or self.silent_seconds:
            metrics.SLOTS.labels("wasted").inc()
            return False
        await limiter.acquire()
        metrics.SLOTS.labels("used").inc()
        return True
