"""When the next call may be made: slots that were granted to us, Retry-After, and our own calls behind them.

The slots keep the limit over all processors. Should they fail, the times of this processor's last calls on the
monotonic clock keep it for this processor.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable

from services.processor import metrics
from services.processor.limits.rate_slots import GRACE_SECONDS, RateSlots, SlotTime
from services.processor.limits.slot_grants import Demand, SlotGrants
from shared.contract.events import ProcessorReported, RateSlotsReport

#: The longest wait at a time: a grant of an earlier slot may have come.
LONGEST_WAIT_SECONDS = 0.25
#: After so long without a call this processor has no work, and after so long with calls its work will last.
IDLE_SECONDS = 0.5
LASTING_SECONDS = 2.0
#: How often a processor with work looks whether it has to report of its slots.
LOOK_SECONDS = 0.05
#: The least time between two reports that cannot wait.
SHORTEST_SECONDS = 0.05
#: When slot time is put forward by more than this share of the grace, a slot is left out: it would come too soon.
JUMP_SHARE = 0.25


class RateLimit:
    """The rate limit as one processor keeps it: `rate` calls per `period` seconds over all processors, 0 = no limit.

    `processor` names this process, `partitions` is the number of lanes. `clock` is monotonic; `sleep` waits for
    seconds. With a limit, every report of any processor has to be given to `apply`.
    """

    def __init__(
        self,
        rate: int,
        period: float,
        partitions: int,
        processor: str,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._used = -1
        self._not_before = 0.0  # monotonic
        #: When the last calls were made, as many as the limit allows in a period (monotonic).
        self._calls: deque[float] = deque(maxlen=rate)
        self._waiting = 0
        self._leaving = False
        #: Since when slots have been wanted, and when one was last waited for (monotonic).
        self._wanted_from = self._last_wanted = -math.inf
        self._wanted = asyncio.Event()
        self._time = SlotTime(clock, wall_clock)
        self._put_forward = self._time.ahead
        slots = RateSlots(rate, period) if rate else None
        #: None without a limit.
        self._grants = SlotGrants(slots, processor, self._time, partitions, clock) if slots else None

    # ---- Retry-After -------------------------------------------------------------------------------------------------

    def retry_after(self, seconds: float) -> None:
        """The directory sent Retry-After: this processor sends nothing for so long."""
        self._not_before = max(self._not_before, self._clock() + seconds)
        metrics.RETRY_AFTER_WAITS.inc()

    @property
    def retry_after_seconds(self) -> float:
        """How long the directory's Retry-After still lasts."""
        return max(self._not_before - self._clock(), 0.0)

    # ---- reports -----------------------------------------------------------------------------------------------------

    @property
    def demand(self) -> Demand:
        """Whether slots are wanted: something waits for one, or did a moment ago."""
        now = self._clock()
        if self._leaving or self.retry_after_seconds:
            return Demand.NONE
        if self._waiting:
            return Demand.LASTING if now - self._wanted_from >= LASTING_SECONDS else Demand.NEW
        return Demand.PAST if now - self._last_wanted < IDLE_SECONDS else Demand.NONE

    def apply(self, report: ProcessorReported, age: float = 0.0) -> None:
        """Applies a report, also our own, in the order of the topic. `age`: for how long it has been there, in seconds.

        Reports may be applied again, from any of them on.
        """
        if self._grants is not None:
            self._grants.apply(report, age)

    def slots_report(self) -> RateSlotsReport | None:
        """What this processor's next report says of the slots; None without a limit."""
        return None if self._grants is None else self._grants.report(self.demand)

    def leave(self) -> bool:
        """This processor makes no calls any more. Whether the others have to be told, who go on giving it slots."""
        self._leaving = True
        return self._grants is not None and self._grants.may_become_urgent(Demand.NONE)

    @property
    def is_urgent(self) -> bool:
        """Whether what we have to say of the slots cannot wait for the next report."""
        return self._grants is not None and self._grants.is_urgent(self.demand)

    async def until_urgent(self) -> None:
        """Returns when what we have to say of the slots cannot wait for the next report. Not at once."""
        await asyncio.sleep(SHORTEST_SECONDS)
        while not self.is_urgent:
            self._wanted.clear()
            changes = self._grants is not None and self._grants.may_become_urgent(self.demand)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if changes else None):
                    await self._wanted.wait()

    # ---- calls -------------------------------------------------------------------------------------------------------

    async def acquire(self) -> None:
        """Returns when a call may be made at once.

        Without a limit it returns without yielding to the event loop: one call per turn of the loop was too slow.
        """
        if self._grants is not None and self.demand is Demand.NONE:
            self._wanted_from = self._clock()
            self._wanted.set()
        self._waiting += 1
        try:
            while True:
                if wait := self.retry_after_seconds:
                    await self._sleep(wait)
                elif self._grants is None or await self._use_slot(self._grants):
                    return
        finally:
            self._waiting -= 1
            self._last_wanted = self._clock()

    async def _use_slot(self, grants: SlotGrants) -> bool:
        """Waits for the next slot of ours. False when it could not be used: try again."""
        slots = grants.slots
        now = self._now(slots)
        slot = grants.next_slot(max(slots.usable_from(now), self._used + 1))
        if slot is None:
            await self._sleep(GRACE_SECONDS)
            return False
        wait = slots.begins(slot) - now
        if wait > 0:
            await self._sleep(min(wait, LONGEST_WAIT_SECONDS))
            now = self._now(slots)
        late = now - slots.begins(slot)
        if late < 0 or slot <= self._used:
            return False  # too early still, or slot time was put forward
        self._used = slot
        if late > slots.grace or self._is_spent(slots) or self.retry_after_seconds:
            metrics.SLOTS.labels("wasted").inc()
            return False
        self._calls.append(self._clock())
        metrics.SLOTS.labels("used").inc()
        return True

    def _now(self, slots: RateSlots) -> float:
        """The slot time. The slot that follows when it was put forward is not used: it may come too soon."""
        now = self._time.now()
        if self._time.ahead - self._put_forward > JUMP_SHARE * slots.grace:
            self._put_forward = self._time.ahead
            self._used = max(self._used, slots.at(now) + 1)
        return now

    def _is_spent(self, slots: RateSlots) -> bool:
        """Whether this processor has made all calls of a period already."""
        return len(self._calls) == slots.rate and self._clock() - self._calls[0] < slots.period
