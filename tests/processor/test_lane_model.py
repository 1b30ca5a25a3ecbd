"""A random life of one lane: sends, answers, commits, hand-overs, crashes and zombies. No row is ever created twice.

The lane, its windows and its permit are the real ones; the clock, the broker and the directory are models. A creation
may happen at any time up to the settle time after the call's deadline, whatever the caller saw. A crashed owner lives
on as a zombie that passes its gate whenever its permit lets it.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.processor import lane as lane_module
from services.processor.lane import Lane
from services.processor.row import Row, State
from services.processor.watermark import Watermark, read_watermark
from tests.processor.doubles import Clock, FakeLedger, accepted, inherit, lane_settings, make_lane, record

TOPICS = ("hospital.rows.express", "hospital.rows.bulk")
SETTINGS = lane_settings()
CALL = SETTINGS.hospital_api_timeout
SETTLED = CALL + SETTINGS.hospital_api_settle_seconds

Known = tuple[str, int]


@dataclass
class Creation:
    """A call that reached the directory: it may create a hospital at `at`, or never."""

    sent: float
    at: float | None


@dataclass
class Owner:
    """One ownership of the lane: alive until another takes over, a zombie from then on."""

    lane: Lane
    ledger: FakeLedger
    doubtful: dict[Row, float]
    chosen: list[Row] = field(default_factory=list)  # not yet through the gate
    under_way: dict[Row, Creation] = field(default_factory=dict)
    commit: asyncio.Task[None] | None = None
    holding: asyncio.Task[None] | None = None
    offered: dict[str, Watermark] | None = None


class LaneMachine(RuleBasedStateMachine):
    """The topics are lists of offsets, with gaps; the broker keeps one commit."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock()
        self.patch.setattr(lane_module, "time", self.clock)
        self.log: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        self.kept: dict[str, Watermark] = {}
        self.zombies: list[Owner] = []
        self.creations: dict[Known, list[Creation]] = {}

    def teardown(self) -> None:
        for owner in [*self.zombies, self.owner]:
            for task in (owner.commit, owner.holding):
                if task is not None:
                    task.cancel()
        self.turn()
        self.loop.close()
        self.patch.undo()

    def turn(self) -> None:
        """Lets tasks go as far as they can."""

        async def briefly() -> None:
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(briefly())

    # ---- owners ------------------------------------------------------------------------------------------------------

    @initialize(backlog=st.integers(0, 4))
    def first_owner(self, backlog: int) -> None:
        self.log[TOPICS[0]] = list(range(backlog))
        self.take_over()

    def take_over(self) -> None:
        """As `takeover` does: a lane without any commit begins at the start, all that there is being in doubt."""
        marks = {
            topic: read_watermark(self.kept[topic].offset, self.kept[topic].metadata())
            if topic in self.kept
            else Watermark(0, self.end_of(topic))
            for topic in TOPICS
        }
        doubtful: dict[Row, float] = {}
        lane = make_lane(SETTINGS, doubtful=doubtful.__setitem__)

        async def begin() -> FakeLedger:
            clean = all(mark.released for mark in self.kept.values())
            return inherit(lane, marks, clean=clean, unowned=not self.kept)

        ledger = self.loop.run_until_complete(begin())
        self.owner = Owner(lane, ledger, doubtful)
        self.listen(self.owner)

    def end_of(self, topic: str) -> int:
        return self.log[topic][-1] + 1 if self.log[topic] else 0

    def keep(self, owner: Owner) -> None:
        assert owner.offered is not None
        self.kept, owner.offered = owner.offered, None

    @rule(applied=st.booleans())
    def crash(self, applied: bool) -> None:
        """Somebody else fences the lane; a commit under way has happened, or not."""
        if applied and self.owner.offered is not None:
            self.keep(self.owner)
        self.zombies.append(self.owner)
        self.take_over()

    # ---- commits -----------------------------------------------------------------------------------------------------

    def listen(self, owner: Owner) -> None:
        """Hears what the lane offers to the broker, whose answer stays open."""
        owner.ledger.gate = self.loop.create_future()
        original = owner.ledger.commit

        async def commit(records: list[object], marks: dict[str, Watermark]) -> None:
            owner.offered = marks
            await original(records, marks)

        owner.ledger.__dict__["commit"] = commit

    @precondition(lambda self: self.owner.offered is None and self.owner.lane._something_to_commit())
    @rule()
    def commit_begins(self) -> None:
        owner = self.owner
        owner.commit = self.loop.create_task(owner.lane._commit())
        self.turn()

    @precondition(lambda self: self.owner.offered is not None)
    @rule()
    def commit_succeeds(self) -> None:
        self.keep(self.owner)
        answer, self.owner.ledger.gate = self.owner.ledger.gate, self.loop.create_future()
        answer.set_result(None)
        self.turn()

    @precondition(lambda self: self.owner.offered is None and self.owner.lane._something_to_commit())
    @rule()
    def commit_at_once(self) -> None:
        self.commit_begins()
        self.commit_succeeds()

    @precondition(lambda self: self.owner.holding is None)
    @rule()
    def rebalance_begins(self) -> None:
        owner = self.owner
        owner.holding = self.loop.create_task(owner.lane.hold())
        self.turn()

    @precondition(lambda self: self.owner.holding is not None and self.owner.holding.done())
    @rule(stays=st.booleans())
    def rebalance_ends(self, stays: bool) -> None:
        if stays:
            self.owner.holding = None
            self.owner.lane.resume()
        else:
            self.owner.lane.close()
            self.zombies.append(self.owner)
            self.take_over()

    # ---- rows --------------------------------------------------------------------------------------------------------

    @rule(topic=st.sampled_from(TOPICS), gap=st.integers(0, 3), count=st.integers(1, 3))
    def write(self, topic: str, gap: int, count: int) -> None:
        start = self.end_of(topic) + gap
        self.log[topic] += range(start, start + count)

    @precondition(lambda self: self.owner.holding is None)
    @rule(topic=st.sampled_from(TOPICS), count=st.integers(1, 4))
    def deliver(self, topic: str, count: int) -> None:
        lane = self.owner.lane
        behind = [offset for offset in self.log[topic] if offset >= lane._windows[topic].position][:count]
        rows = [record(accepted(offset + 2, job_id=topic), offset, topic) for offset in behind]
        lane.admit(topic, rows, behind[-1] + 1 if behind else self.end_of(topic))

    @rule(topic=st.sampled_from(TOPICS))
    def choose(self, topic: str) -> None:
        row = self.owner.lane.next_row(topic)
        if row is not None:
            self.owner.lane.sending(row)
            self.owner.chosen.append(row)

    @precondition(lambda self: self.owner.holding is None and self.owner.offered is None)
    @rule(stays=st.booleans())
    def rebalance_at_once(self, stays: bool) -> None:
        """Nothing in flight, and the broker answers."""
        self.rebalance_begins()
        if self.owner.offered is not None:
            self.commit_succeeds()
            self.rebalance_ends(stays)

    @rule(data=st.data(), creates_after=st.sampled_from((None, 0.0, 3.0, SETTLED)))
    def gate(self, data: st.DataObject, creates_after: float | None) -> None:
        """The last question before the first byte, which a zombie asks as well."""
        owners = [owner for owner in [self.owner, *self.zombies[-3:]] if owner.chosen]
        if not owners:
            return
        self.pass_gate(data.draw(st.sampled_from(owners)), creates_after)

    def pass_gate(self, owner: Owner, creates_after: float | None) -> None:
        row = owner.chosen.pop(0)
        if owner.lane.permits(row):
            at = None if creates_after is None else self.clock.now + creates_after
            owner.under_way[row] = Creation(self.clock.now, at)
            self.creations.setdefault(row.identity, []).append(owner.under_way[row])
        else:
            self.loop.run_until_complete(self.back(owner, row))

    async def back(self, owner: Owner, row: Row) -> None:
        if owner.lane.end is None:
            owner.lane.again(row, 0.0)
        owner.lane.landed()

    @rule(data=st.data(), told=st.booleans())
    def call_ends(self, data: st.DataObject, told: bool) -> None:
        """With the answer, or without."""
        owner = self.owner
        if not owner.under_way:
            return
        row = data.draw(st.sampled_from(list(owner.under_way)))
        creation = owner.under_way.pop(row)
        if told and creation.at is not None:
            creation.at = min(creation.at, self.clock.now)
            owner.lane.finish(row, row.created(1))
        else:
            owner.lane.doubt(row, creation.sent + SETTLED)
        owner.lane.landed()

    @rule(data=st.data())
    def look_up(self, data: st.DataObject) -> None:
        owner = self.owner
        due = [row for row, at in owner.doubtful.items() if at <= self.clock.now and row.state is State.IN_DOUBT]
        if not due:
            return
        self.answer_look_up(data.draw(st.sampled_from(due)))

    def answer_look_up(self, row: Row) -> None:
        owner = self.owner
        del owner.doubtful[row]
        if self.created(row.identity):
            owner.lane.finish(row, row.created(1, found=True))
        else:
            self.loop.run_until_complete(self.absent(row))

    async def absent(self, row: Row) -> None:
        self.owner.lane.again(row, 0.0)

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 2.0, 4.0, 6.0)))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        for owner in [self.owner, *self.zombies]:
            for row in [row for row, creation in owner.under_way.items() if self.clock.now >= creation.sent + CALL]:
                creation = owner.under_way.pop(row)
                if owner.lane.end is None:
                    owner.lane.doubt(row, creation.sent + SETTLED)
                owner.lane.landed()
        self.turn()

    @rule(seconds=st.sampled_from((0.0, 1.0, 4.0, 6.0)))
    def all_goes_well(self, seconds: float) -> None:
        """What a healthy owner does all the time, so that a random life gets somewhere."""
        self.time_passes(seconds)
        if self.owner.holding is not None or self.owner.offered is not None:
            return
        for topic in TOPICS:
            self.deliver(topic, 4)
        for _ in range(3):
            for row, at in list(self.owner.doubtful.items()):
                if at <= self.clock.now and row.state is State.IN_DOUBT:
                    self.answer_look_up(row)
            if self.owner.lane._something_to_commit():
                self.commit_at_once()

    @rule(topic=st.sampled_from(TOPICS), creates_after=st.sampled_from((None, 0.0, SETTLED)), told=st.booleans())
    def a_row_is_sent(self, topic: str, creates_after: float | None, told: bool) -> None:
        """Chosen and through the gate at once; answered at once, or not."""
        row = self.owner.lane.next_row(topic)
        if row is None:
            return
        self.owner.lane.sending(row)
        self.owner.chosen.insert(0, row)
        self.pass_gate(self.owner, creates_after)
        if told and creates_after == 0.0 and row in self.owner.under_way:
            del self.owner.under_way[row]
            self.owner.lane.finish(row, row.created(1))
            self.owner.lane.landed()

    # ---- promises ----------------------------------------------------------------------------------------------------

    def created(self, row: Known) -> int:
        return sum(made.at is not None and made.at <= self.clock.now for made in self.creations.get(row, ()))

    @invariant()
    def nothing_is_created_twice(self) -> None:
        twice = {row for row, made in self.creations.items() if sum(each.at is not None for each in made) > 1}
        assert not twice

    @invariant()
    def whatever_a_crash_leaves_possibly_sent_is_in_doubt(self) -> None:
        """Below the horizon and without a bit, in each commit that the broker may have kept."""
        for marks in filter(None, (self.kept, self.owner.offered)):
            for row in self.owner.under_way:
                if self.owner.lane.end is None:
                    assert row.place.offset < marks[row.topic].horizon
                    assert row.place.offset >= marks[row.topic].offset


TestLane = LaneMachine.TestCase
TestLane.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
