"""Loans of rate slots: an idle processor lends the slots of its lanes to processors that have work.

All processors write what they claim and lend to one partition of a topic, and read all of it in the same order:

- A processor *claims* the lanes that it has taken over, each with its *term*. A later owner's term is higher: the
  transactional producer's id and epoch, for example, with which it fenced the former owner.
- It uses the slots of a lane once it has read its own claim of it. By then it knows every loan that was written before.
  Until a loan ends it does not use what was lent, whoever lent it.
- Whoever reads a loan of a term that is not the highest claimed so far ignores it. So a loan that a former owner wrote
  after the claim of the next one is nobody's, also when that owner was frozen for long or has not noticed yet.

So a slot is used by one processor at most, however late anything is written or read, and whatever the clocks show. What
slots are lent is said in numbers of slots, not in times. Clocks that are apart shift a slot's beginning, as without
loans. All of an unended loan is said again in each report, since the topic keeps only the last of each processor.

A processor lends every second of its slots. So its own next row waits twice as long as before at most, or until the
loan ends if that is sooner: then it lends all.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.processor.limits.rate_slots import RateSlots, SlotRange

#: How far ahead slots are lent.
LOAN_SECONDS: Final = 10.0
#: Whoever has not reported for so long is not lent anything.
SILENT_SECONDS: Final = 15.0
#: If a claim has not been read for so long, the topic is out of order. All loans have ended by then.
UNREAD_SECONDS: Final = 60.0
#: The most loans of one report.
MOST_LOANS: Final = 200


@dataclass(frozen=True, slots=True)
class SlotLoan:
    """Every 2 x partitions-th slot at `place`, from `first` and before `end`, lent to `borrower`.

    `term` is that of the lane to which the slots belong.
    """

    place: int
    term: int
    borrower: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class SlotReport:
    """What a processor writes: whether it wants slots, its lanes with their terms, and what it has lent.

    `processor` names this process and no other one, not even the next one with the same instance id. `interval` is the
    time from slot to slot as it is configured there, in seconds: with another one, a slot's number means another time.
    """

    processor: str
    interval: float
    wants_slots: bool = False
    claims: Mapping[int, int] = field(default_factory=dict)
    loans: tuple[SlotLoan, ...] = ()


@dataclass(slots=True)
class _Other:
    """What is known of another processor."""

    wants_slots: bool
    heard_at: float


class SlotLoans:
    """One processor's part in it. `owned` tells the lanes whose slots are ours now, with their terms."""

    def __init__(
        self,
        slots: RateSlots,
        processor: str,
        owned: Callable[[], Mapping[int, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._processor = processor
        self._owned = owned
        self._clock = clock
        #: The highest term claimed by anybody, by lane.
        self._terms: dict[int, int] = {}
        #: The terms of our lanes whose claim we have read.
        self._read: dict[int, int] = {}
        #: When we were first seen to own a lane in that term (monotonic).
        self._owned_since: dict[tuple[int, int], float] = {}
        #: What anybody has lent, as (first, end), by place.
        self._lent: dict[int, set[tuple[int, int]]] = defaultdict(set)
        #: What we have lent. Said again until it ends.
        self._own: list[SlotLoan] = []
        self._borrowed: set[SlotLoan] = set()
        self._others: dict[str, _Other] = {}
        self._written = SlotReport(processor, slots.interval)

    # ---- what all write ----------------------------------------------------------------------------------------------

    def apply(self, report: SlotReport, *, replayed: bool = False) -> None:
        """Applies a report, also our own, in the order of the topic, from its start on.

        `replayed`: it was there when the reader began. So nobody knows whether its writer is still alive.
        """
        ours = report.processor == self._processor
        for lane, term in report.claims.items():
            self._terms[lane] = max(term, self._terms.get(lane, term))
            if ours:
                self._read[lane] = term
        for loan in report.loans if report.interval == self._slots.interval else ():
            # Kept in any case: it may have been written before, when it was valid.
            self._lent[loan.place].add((loan.first, loan.end))
            if loan.borrower == self._processor and not self._is_superseded(loan):
                self._borrowed.add(loan)
        if not ours and not replayed:
            wants_slots = report.wants_slots and report.interval == self._slots.interval
            self._others[report.processor] = _Other(wants_slots, self._clock())

    def _is_superseded(self, loan: SlotLoan) -> bool:
        """Whether the lane had the next owner already when the loan was written."""
        return loan.term < self._terms.get(self._slots.partition(loan.place), loan.term)

    # ---- what is ours ------------------------------------------------------------------------------------------------

    def usable(self, now: int) -> list[SlotRange]:
        """The slots that are ours to use: of our own lanes what is not lent, and what was lent to us. `now`: a slot."""
        self._forget_ended(now)
        ranges = [SlotRange(loan.place, self._slots.cycle, loan.first, loan.end) for loan in self._borrowed]
        for lane in self._claimed():
            if self._lent.keys().isdisjoint(self._slots.places(lane)):
                ranges.append(self._slots.of_partition(lane))
            else:
                ranges += [slots for place in self._slots.places(lane) for slots in self._not_lent(place)]
        return ranges

    def _forget_ended(self, now: int) -> None:
        self._borrowed = {loan for loan in self._borrowed if loan.end > now}
        self._own = [loan for loan in self._own if loan.end > now]
        for place in list(self._lent):
            self._lent[place] = {lent for lent in self._lent[place] if lent[1] > now}
            if not self._lent[place]:
                del self._lent[place]

    def _not_lent(self, place: int) -> list[SlotRange]:
        ranges, start = [], 0
        for first, end in sorted(self._lent.get(place, ())):
            ranges.append(SlotRange(place, self._slots.cycle, start, first))
            start = max(start, end)
        return [*ranges, SlotRange(place, self._slots.cycle, start)]

    def _claimed(self) -> list[int]:
        """Our lanes whose slots we may use: we know of every loan of them."""
        now, owned = self._clock(), self._owned()
        self._owned_since = {key: self._owned_since.get(key, now) for key in owned.items()}
        return [
            lane
            for lane, term in owned.items()
            if self._read.get(lane) == term or now - self._owned_since[lane, term] >= UNREAD_SECONDS
        ]

    # ---- what we write -----------------------------------------------------------------------------------------------

    def report(self, now: int, *, wants_slots: bool) -> SlotReport:
        """What to write now: every few seconds, and at once when `is_urgent`. `now`: the current slot.

        What it lends is not used here from now on, also when it cannot be written.
        """
        self._forget_ended(now)
        if not wants_slots:
            self._lend(now)
        self._written = SlotReport(
            self._processor, self._slots.interval, wants_slots, dict(self._owned()), tuple(self._own)
        )
        return self._written

    def is_urgent(self, now: int, *, wants_slots: bool) -> bool:
        """Whether to report at once: a lane has been taken over, or somebody wants slots."""
        if dict(self._owned()) != dict(self._written.claims):
            return True
        if wants_slots:
            return not self._written.wants_slots and bool(self._alive())
        borrowers = {loan.borrower for loan in self._own}
        return not borrowers.issuperset(self._wanting()) and bool(self._lendable(now))

    def _lend(self, now: int) -> None:
        wanting, terms, end = self._wanting(), self._owned(), now + self._loan_slots + 1
        if not wanting:
            return
        for place in self._lendable(now)[: MOST_LOANS - len(self._own)]:
            first = max([now + 1, *(ends for _, ends in self._lent.get(place, ()))])
            if first < end:
                borrower = wanting[place % len(wanting)]
                self._own.append(SlotLoan(place, terms[self._slots.partition(place)], borrower, first, end))
                self._lent[place].add((first, end))

    def _lendable(self, now: int) -> list[int]:
        """The places that we would lend: every second turn of each lane, or both when a loan ends sooner than that.

        Not those whose loan still lasts for half of its time.
        """
        lanes = [lane for lane in self._claimed() if self._owned()[lane] >= self._terms.get(lane, 0)]
        if not lanes:
            return []
        wait = self._slots.partitions / len(lanes) * self._slots.interval
        turns = slice(None) if wait > LOAN_SECONDS else slice(1, None)
        places = [place for lane in lanes for place in [*self._slots.places(lane)][turns]]
        soon = now + self._loan_slots // 2
        return [place for place in places if all(end <= soon for _, end in self._lent.get(place, ()))]

    @property
    def _loan_slots(self) -> int:
        return int(LOAN_SECONDS / self._slots.interval)

    def _alive(self) -> list[str]:
        now = self._clock()
        self._others = {name: other for name, other in self._others.items() if now - other.heard_at < SILENT_SECONDS}
        return sorted(self._others)

    def _wanting(self) -> list[str]:
        return [name for name in self._alive() if self._others[name].wants_slots]
