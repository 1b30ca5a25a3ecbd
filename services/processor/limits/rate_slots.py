"""When a call may be made so that all processors together keep the rate limit: slots of one time that they share.

Slot n begins at n x 1.05 x period / rate. Who may use it, `slot_grants` says. The 5 % are for calls that start late in
their slot. The time is `SlotTime`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MARGIN: Final = 1.05
#: A slot can be used for so long after its beginning, in seconds. It has to be well below the margin of 5 %.
GRACE_SECONDS: Final = 0.020
#: The same for periods below a second, as a share of them.
GRACE_SHARE: Final = 0.020
#: No slot time is later: far behind what a report can hold, and still exact to a microsecond. It is the year 2286.
LATEST: Final = 1e10


@dataclass(frozen=True, slots=True)
class RateSlots:
    """Divides time into slots for `rate` calls per `period` seconds."""

    rate: int
    period: float

    @property
    def interval(self) -> float:
        """Seconds from one slot to the next."""
        return MARGIN * self.period / self.rate

    @property
    def grace(self) -> float:
        """Seconds after its beginning in which a slot may be used."""
        return min(GRACE_SECONDS, GRACE_SHARE * self.period)

    def begins(self, slot: int) -> float:
        """The slot time at which a slot begins, in seconds."""
        return slot * self.interval

    def at(self, time: float) -> int:
        """The slot in which a slot time lies."""
        slot = math.floor(time / self.interval)
        # Rounding may put a slot's own beginning into the slot before.
        return slot + 1 if self.begins(slot + 1) <= time else slot

    def usable_from(self, time: float) -> int:
        """The first slot that can still be used at a slot time."""
        slot = self.at(time)
        return slot if time - self.begins(slot) <= self.grace else slot + 1


class SlotTime:
    """The time in which slots are counted: no process's runs behind that of another from which it has heard.

    It begins as the wall clock and never goes back. Every processor tells its slot time in its reports; whoever reads
    one of a later time goes on from there. So all count alike, up to the time that a report takes, also when their
    wall clocks are apart. `clock` is monotonic, both in seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        #: Slot time is the monotonic clock and this.
        self._ahead = wall_clock() - clock()

    @property
    def ahead(self) -> float:
        """By how much it is ahead of the monotonic clock: it only grows."""
        return self._ahead

    def now(self) -> float:
        """The slot time. It follows a wall clock that gets ahead: the monotonic one stops while a machine sleeps."""
        self._ahead = max(self._ahead, self._wall_clock() - self._clock())
        return self._clock() + self._ahead

    def heard(self, time: float) -> None:
        """Somebody's slot time was `time` a moment ago. What no clock can mean is left out."""
        if time > LATEST:
            return
        self._ahead = max(self._ahead, time - self._clock())
