"""When the next call may be made: slots of the wall clock, Retry-After, and this process's own calls behind them.

The slots keep the limit over all processors, as long as the wall clock runs evenly. When it is put back or forward,
the times of the last calls on the monotonic clock keep it for this processor.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection

from services.processor import metrics
from services.processor.limits.rate_slots import GRACE_SECONDS, RateSlots

#: If the last used slot begins later than this from now, the wall clock has been put back.
CLOCK_PUT_BACK_SECONDS = 1.0
#: The longest wait at a time: a rebalance may change which slots are ours.
LONGEST_WAIT_SECONDS = 0.25


class RateLimit:
    """The rate limit as one processor keeps it: `rate` calls per `period` seconds over all processors, 0 = no limit.

    `owned` tells the partition indices whose slots are ours now. `clock` is monotonic; `sleep` waits for seconds.
    """

    def __init__(
        self,
        rate: int,
        period: float,
        partitions: int,
        owned: Callable[[], Collection[int]],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slots = RateSlots(rate, period, partitions) if rate else None
        #: When the last calls were made, as many as the limit allows in a period (monotonic).
        self._calls: deque[float] = deque(maxlen=rate)
        self._owned = owned
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
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
                await self._sleep(wait)
                continue
            if self._slots is None or await self._use_slot(self._slots):
                return

    async def _use_slot(self, slots: RateSlots) -> bool:
        """Waits for the next slot of ours. False when it could not be used: try again."""
        if slots.begins(self._used) > self._wall_clock() + CLOCK_PUT_BACK_SECONDS:
            self._used = -1  # otherwise nothing would be sent until the clock has caught up
        slot = slots.next_slot(self._wall_clock(), self._owned(), self._used)
        if slot is None:
            await self._sleep(GRACE_SECONDS)
            return False
        wait = slots.begins(slot) - self._wall_clock()
        if wait > 0:
            await self._sleep(min(wait, LONGEST_WAIT_SECONDS))
            if wait > LONGEST_WAIT_SECONDS or slots.partition(slot) not in self._owned():
                return False  # too early still, or the slot is another processor's now
        late = self._wall_clock() - slots.begins(slot)
        if late < 0:
            return False  # woken a little early, since the clocks run differently, or the wall clock was put back
        self._used = slot
        if late > slots.grace or self._is_spent(slots) or self.retry_after_seconds:
            metrics.SLOTS.labels("wasted").inc()
            return False
        self._calls.append(self._clock())
        metrics.SLOTS.labels("used").inc()
        return True

    def _is_spent(self, slots: RateSlots) -> bool:
        """Whether this processor has made all calls of a period already: the wall clock has jumped."""
        return len(self._calls) == slots.rate and self._clock() - self._calls[0] < slots.period
