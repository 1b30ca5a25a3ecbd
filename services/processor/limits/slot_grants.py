"""Who may use which slots of the rate limit: those to whom a record on `hospital.processors` gives them.

A processor with work says so in its report, and any of them gives away the next seconds of slots, in turn to all that
have work. The topic has one partition, so everybody reads its records in one order. Of a slot that is given away
several times the first grant counts, and nobody uses a slot before having read the grant of it. So a slot has one user
at most, whoever writes grants, and however late they are written or read. No processor is special, none is waited for,
and nothing is ever taken back: who was frozen may use of its old grants what lies in the future, since it is its own.

Slots that are given to a processor without work, or to one that has died, are lost for some seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from services.processor.limits.rate_slots import RateSlots, SlotTime
from shared.contract.events import ProcessorReported, RateSlotGrant, RateSlotsReport

#: The first in the order of names gives when this share of the seconds is left that it gives slots away for. Each
#: further one gives this much later, down to a last share.
RENEWED_SHARE: Final = 0.5
RANK_SHARE: Final = 0.0625
LAST_SHARE: Final = 0.125
#: The seconds that count when not even the next slot is given away. Slots may be further apart than that.
NEXT_SECONDS: Final = 8.0
#: A grant that reaches further is nobody's: by mistake it would keep all others from sending.
LONGEST_GRANT_SECONDS: Final = 60.0
#: Whoever has not reported for so long gets nothing.
SILENT_SECONDS: Final = 12.0
#: A report that has not been read back after so long is written again.
UNREAD_SECONDS: Final = 1.0


class Demand(Enum):
    """Whether a processor wants slots. Which of them lasts, `rate_limit` decides."""

    #: It has no work.
    NONE = auto()
    #: It had work a moment ago, and may have more: it wants slots, but gives none away.
    PAST = auto()
    #: It has work, and may have none soon.
    NEW = auto()
    #: It has had work for a while.
    LASTING = auto()


#: How far ahead a processor gives slots away, in seconds; one slot at least. Newcomers wait for so long at most.
GIVEN_SECONDS: Final = {Demand.NONE: 0.0, Demand.PAST: 0.0, Demand.NEW: 1.0, Demand.LASTING: 4.0}


@dataclass(frozen=True, slots=True)
class _Granted:
    """Slots that are given away for good: those from `first` and before `end`, in turn to the names in `to`."""

    first: int
    end: int
    to: tuple[str, ...]

    def next_slot(self, name: str, slot: int) -> int | None:
        """The first slot of that name that is not before `slot`; None when there is none."""
        if name not in self.to:
            return None
        start = max(self.first, slot)
        start += (self.to.index(name) - start) % len(self.to)
        return start if start < self.end else None

    def without(self, other: "_Granted") -> list["_Granted"]:
        """What is left of it beside another one that came first."""
        before = _Granted(self.first, min(self.end, other.first), self.to)
        after = _Granted(max(self.first, other.end), self.end, self.to)
        return [left for left in (before, after) if left.first < left.end]


@dataclass(frozen=True, slots=True)
class _Other:
    """What is known of another processor. `name` is None when it does not take part in the grants."""

    name: str | None
    wants_slots: bool
    lanes: frozenset[int]
    heard_at: float


class SlotGrants:
    """One processor's part in it. `name` names this process; `clock`: monotonic, in seconds.

    A processor that does not take part, of version 0.1.0 or with another limit, uses its lanes' share of all slots by
    itself. So much is given to nobody. `partitions` is the number of lanes.
    """

    def __init__(
        self,
        slots: RateSlots,
        name: str,
        slot_time: SlotTime,
        partitions: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: All slots, whoever may use them.
        self.slots = slots
        self._name = name
        self._time = slot_time
        self._partitions = partitions
        self._clock = clock
        #: They do not overlap.
        self._granted: list[_Granted] = []
        self._others: dict[str, _Other] = {}
        #: Whether the others know that we want slots, as far as we know.
        self._known_to_want = False
        #: When our last report was made that has not been read back (monotonic), and its slot time.
        self._unread: tuple[float, float] | None = None

    # ---- what all read -----------------------------------------------------------------------------------------------

    def apply(self, report: ProcessorReported, age: float = 0.0) -> None:
        """Applies a report, also our own, in the order of the topic. `age`: for how long it has been there, in seconds.

        Reports may be applied again, from any of them on.
        """
        slots = report.rate_slots
        lanes = frozenset(lane.partition for lane in report.lanes)
        heard_at = self._clock() - age
        if slots is None or slots.interval != self.slots.interval:
            self._others[report.instance] = _Other(None, False, lanes, heard_at)
            return
        self._time.heard(slots.time)
        if slots.processor == self._name:
            self._others.pop(report.instance, None)  # an earlier process with our instance id has ended
            self._known_to_want = slots.wants_slots
            if self._unread is not None and slots.time >= self._unread[1]:
                self._unread = None
        else:
            self._others[report.instance] = _Other(slots.processor, slots.wants_slots, lanes, heard_at)
        if slots.grant is not None and self._is_bounded(slots.grant, slots.time):
            self._add(slots.grant)

    def _is_bounded(self, grant: RateSlotGrant, written_at: float) -> bool:
        """Whether it may count. All readers have to agree: it depends on the record alone."""
        return bool(grant.to) and self.slots.begins(grant.end - 1) - written_at <= LONGEST_GRANT_SECONDS

    def _add(self, grant: RateSlotGrant) -> None:
        now = self.slots.at(self._time.now())
        self._granted = [each for each in self._granted if each.end > now]
        left = [_Granted(max(grant.first, now), grant.end, grant.to)]
        for earlier in self._granted:
            left = [part for each in left for part in each.without(earlier)]
        self._granted += [each for each in left if each.first < each.end]

    # ---- what is ours ------------------------------------------------------------------------------------------------

    def next_slot(self, slot: int) -> int | None:
        """The first slot of ours, as far as is known, that is not before `slot`."""
        found = (each.next_slot(self._name, slot) for each in self._granted)
        return min((each for each in found if each is not None), default=None)

    # ---- what we write -----------------------------------------------------------------------------------------------

    def report(self, demand: Demand) -> RateSlotsReport:
        """What to write now: every few seconds, and at once when `is_urgent`."""
        now = self._time.now()
        self._unread = self._clock(), now
        return RateSlotsReport(
            processor=self._name,
            interval=self.slots.interval,
            time=now,
            wants_slots=demand is not Demand.NONE,
            grant=self._grant(now, demand) if self._is_due(now, demand) else None,
        )

    def is_urgent(self, demand: Demand) -> bool:
        """Whether a report cannot wait: it would ask for slots, give some away, or leave ours to others."""
        if self._unread is not None and self._clock() - self._unread[0] < UNREAD_SECONDS:
            return False
        return self._known_to_want != (demand is not Demand.NONE) or self._is_due(self._time.now(), demand)

    def may_become_urgent(self, demand: Demand) -> bool:
        """Whether a report may be urgent soon, without anything else that happens here."""
        return demand is not Demand.NONE or self._known_to_want

    def _is_due(self, now: float, demand: Demand) -> bool:
        """Whether to give slots away."""
        if not GIVEN_SECONDS[demand]:
            return False
        free = self._first_free(now)
        before = self.slots.begins(free) - now
        rank = sorted([self._name, *self._wanting()]).index(self._name)
        share = max(RENEWED_SHARE - rank * RANK_SHARE, LAST_SHARE)
        is_next = free == self.slots.at(now) + 1
        return before < share * (NEXT_SECONDS if is_next else GIVEN_SECONDS[demand])

    def _first_free(self, now: float) -> int:
        """The first slot after all that are given away, and after the present one."""
        return max([self.slots.at(now) + 1, *(each.end for each in self._granted)])

    def _grant(self, now: float, demand: Demand) -> RateSlotGrant:
        first = self._first_free(now)
        to = sorted([self._name, *self._wanting()])
        end = max(self.slots.at(now + GIVEN_SECONDS[demand]), first) + 1
        return RateSlotGrant(first=first, end=end, to=(*to, *[""] * self._left_out(len(to))))

    def _left_out(self, names: int) -> int:
        """How many turns beside so many names are left to processors that do not take part."""
        lanes = {lane for other in self._alive() if other.name is None for lane in other.lanes}
        theirs = min(len(lanes), self._partitions - 1)
        return -(-names * theirs // (self._partitions - theirs))

    def _alive(self) -> list[_Other]:
        now = self._clock()
        self._others = {key: other for key, other in self._others.items() if now - other.heard_at < SILENT_SECONDS}
        return list(self._others.values())

    def _wanting(self) -> list[str]:
        return [other.name for other in self._alive() if other.wants_slots and other.name is not None]
