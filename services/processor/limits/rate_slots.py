"""When a call may be made so that all processors together keep the rate limit: slots of the wall clock.

Slot n begins at n x 1.05 x period / rate. The partitions get the slots one after another, in a fixed order. A partition
has one owner, so a slot has one owner, and the processors need not talk to each other. The 5 % are for calls that start
late in their slot.

The order scatters neighbouring partitions, since a processor owns neighbours (range assignor). In the order of the
partitions it would have all of its slots in a row, and then none for long: at 30 calls a minute, 50 partitions and 3
processors for 74 s. Scattered it is 11 s at most.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Final

MARGIN: Final = 1.05
#: A slot can be used for so long after its beginning, in seconds. It has to be well below the margin of 5 %.
GRACE_SECONDS: Final = 0.020
#: The same for periods below a second, as a share of them.
GRACE_SHARE: Final = 0.020
#: Multiples of it, taken modulo 1, scatter any number of neighbours well (three-distance theorem).
GOLDEN_RATIO: Final = (math.sqrt(5) - 1) / 2


@cache
def slot_order(partitions: int) -> tuple[int, ...]:
    """The partitions in the order in which they get the slots: slot n belongs to number n mod `partitions` of it."""
    return tuple(sorted(range(partitions), key=lambda partition: partition * GOLDEN_RATIO % 1))


@cache
def _places(partitions: int) -> tuple[int, ...]:
    """Each partition's place in that order."""
    order = slot_order(partitions)
    return tuple(order.index(partition) for partition in range(partitions))


@dataclass(frozen=True, slots=True)
class RateSlots:
    """Divides time into slots for `rate` calls per `period` seconds over `partitions` partitions."""

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
        """The slot in which a time lies, in seconds since the epoch."""
        slot = math.floor(time / self.interval)
        # Rounding may put a slot's own beginning into the slot before.
        return slot + 1 if self.begins(slot + 1) <= time else slot

    def partition(self, slot: int) -> int:
        """The partition to which a slot belongs."""
        return slot_order(self.partitions)[slot % self.partitions]

    def next_slot(self, time: float, owned: Collection[int], used: int) -> int | None:
        """The first slot after `used` that belongs to one of the partitions and can still be used at `time`.

        None when no partition is owned.
        """
        if not owned:
            return None
        slot = self.at(time)
        if time - self.begins(slot) > self.grace:
            slot += 1
        slot = max(slot, used + 1)
        places = _places(self.partitions)
        return slot + min((places[partition] - slot) % self.partitions for partition in owned)
