"""When a call may be made so that all processors together keep the rate limit: slots of the wall clock.

Slot n begins at n x 1.05 x period / rate. The partitions get the slots one after another, in a fixed order. A partition
has one owner, so a slot has one owner, and the processors need not talk to each other. An owner may lend slots, see
`slot_loans`. The 5 % are for calls that start late in their slot.

The order scatters neighbouring partitions, since a processor owns neighbours (range assignor). In the order of the
partitions it would have all of its slots in a row, and then none for long: at 30 calls a minute, 50 partitions and 3
processors for 74 s. Scattered it is 11 s at most.
"""

import math
from collections.abc import Iterable
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
class SlotRange:
    """Every `step`-th slot from `first`, counted so that `place` is one of them, and before `end`."""

    place: int
    step: int
    first: int = 0
    end: int | None = None

    def next(self, slot: int) -> int | None:
        """The first of these slots that is not before `slot`; None when there is none left."""
        start = max(slot, self.first)
        start += (self.place - start) % self.step
        return start if self.end is None or start < self.end else None


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

    @property
    def cycle(self) -> int:
        """After so many slots every partition has had two turns."""
        return 2 * self.partitions

    def places(self, partition: int) -> tuple[int, int]:
        """The partition's two turns in a cycle."""
        place = _places(self.partitions)[partition]
        return place, place + self.partitions

    def partition(self, slot: int) -> int:
        """The partition to which a slot, or a place in a cycle, belongs."""
        return slot_order(self.partitions)[slot % self.partitions]

    def of_partition(self, partition: int) -> SlotRange:
        """All slots of a partition."""
        return SlotRange(_places(self.partitions)[partition], self.partitions)

    def next_slot(self, time: float, ranges: Iterable[SlotRange], used: int) -> int | None:
        """The first slot after `used` that is in one of the ranges and can still be used at `time`.

        None when there is none.
        """
        slot = self.at(time)
        if time - self.begins(slot) > self.grace:
            slot += 1
        slot = max(slot, used + 1)
        return min((found for slots in ranges if (found := slots.next(slot)) is not None), default=None)
