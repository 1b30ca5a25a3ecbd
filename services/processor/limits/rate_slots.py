"""When a call may be made so that all processors together keep the pace: slots of the wall clock.

Slot n begins at n x 1.05 x period / rate and belongs to partition n mod partitions. Nobody has to talk to anybody: a
partition has one owner, so a slot has one owner. The 5 % leave room for a call that starts a little late in its slot.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

MARGIN: Final = 1.05
#: A slot that is not used this soon after its beginning is forfeited, in seconds: well within the margin of a second.
GRACE_SECONDS: Final = 0.020
#: The same for shorter periods, as a share of them: the grace must not use up the margin.
GRACE_SHARE: Final = 0.020


@dataclass(frozen=True, slots=True)
class Slots:
    """The division of time for `rate` calls per `period` seconds over `partitions` partitions."""

    rate: int
    period: float
    partitions: int

    @property
    def interval(self) -> float:
        """Seconds from one slot to the next."""
        return MARGIN * self.period / self.rate

    @property
    def grace(self) -> float:
        """Seconds after its beginning in which a slot may be used."""
        return min(GRACE_SECONDS, GRACE_SHARE * self.period)

    def begins(self, slot: int) -> float:
        """The wall-clock time at which a slot begins, in seconds since the epoch."""
        return slot * self.interval

    def at(self, time: float) -> int:
        """The slot that is current at a time."""
        slot = math.floor(time / self.interval)
        # Floating point may put a slot's own beginning a hair before it.
        return slot + 1 if self.begins(slot + 1) <= time else slot

    def next_slot(self, time: float, owned: Collection[int], used: int) -> int | None:
        """The first slot after `used` that belongs to one of the partitions and can still be used at `time`.

        None when nothing is owned.
        """
        if not owned:
            return None
        slot = self.at(time)
        if time - self.begins(slot) > self.grace:
            slot += 1
        slot = max(slot, used + 1)
        return slot + min((partition - slot) % self.partitions for partition in owned)
