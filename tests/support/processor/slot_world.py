"""Processors that lend each other rate slots over a topic, in simulated time."""

from dataclasses import dataclass, field

from services.processor.limits.rate_slots import RateSlots
from services.processor.limits.slot_loans import SlotLoans, SlotReport

START = 1.8e9


@dataclass
class World:
    """A topic, the lanes' true owners, and the time."""

    slots: RateSlots
    now: float = 0.0
    log: list[SlotReport] = field(default_factory=list)
    terms: dict[int, int] = field(default_factory=dict)
    used: dict[int, "Processor"] = field(default_factory=dict)
    made: int = 0

    def processor(self, lanes=(), *, offset=0.0, compacted_to=0):
        """A new one, which takes over the lanes. Of the topic's beginning it reads only what compaction leaves."""
        self.made += 1
        made = Processor(self, f"p{self.made}", offset)
        last = {report.processor: index for index, report in enumerate(self.log[:compacted_to])}
        made.unread = [self.log[index] for index in sorted(last.values())] + self.log[compacted_to:]
        for lane in lanes:
            made.take_over(lane)
        return made


@dataclass
class Processor:
    """One process, with what it believes to own. `offset`: by how much its wall clock is ahead, in seconds."""

    world: World
    name: str
    offset: float = 0.0
    owned: dict[int, int] = field(default_factory=dict)
    wants: bool = False
    replaced: bool = False
    unread: list[SlotReport] = field(default_factory=list)
    unwritten: list[SlotReport] = field(default_factory=list)
    reported_at: float = -100.0

    def __post_init__(self):
        self.loans = SlotLoans(self.world.slots, self.name, lambda: self.owned, lambda: self.world.now)

    @property
    def slot(self):
        return self.world.slots.at(START + self.world.now + self.offset)

    def take_over(self, lane):
        self.world.terms[lane] = self.owned[lane] = self.world.terms.get(lane, 0) + 1

    def read(self, count=None):
        for report in self.unread[:count]:
            self.loans.apply(report)
        del self.unread[:count]

    def report_when_due(self):
        if self.world.now - self.reported_at < (
            0.5 if self.loans.is_urgent(self.slot, wants_slots=self.wants) else 5.0
        ):
            return
        self.reported_at = self.world.now
        self.unwritten.append(self.loans.report(self.slot, wants_slots=self.wants))

    def write(self, everybody):
        for report in self.unwritten:
            self.world.log.append(report)
            for processor in everybody:
                processor.unread.append(report)
        self.unwritten.clear()

    def may_use(self, slot):
        return any(slots.next(slot) == slot for slots in self.loans.usable(slot))

    def send(self):
        """Uses the current slot, if it is ours. A processor that was replaced has no permit to send anything."""
        slot = self.slot
        if not self.wants or self.replaced or not self.may_use(slot):
            return False
        assert self.world.used.setdefault(slot, self) is self, f"slot {slot} is used by two"
        return True


def settle(world, everybody, seconds, step=0.25, send=lambda processor: processor.send()):
    """Time passes: all read, write and send without delay."""
    used = []
    for _ in range(round(seconds / step)):
        world.now += step
        for processor in everybody:
            processor.read()
            processor.report_when_due()
            processor.write(everybody)
        used += [(world.now, processor) for processor in everybody if send(processor)]
    return used
