"""Random histories of a lane: sends, answers, commits, hand-overs, crashes and zombies. No row is ever created twice.

The lane, its windows and its permit are the real ones; the clock, the broker and the directory are models. A creation
may happen at any time up to the settle time after the call's deadline, whatever the caller saw. A crashed owner lives
on as a zombie that passes its send guard whenever its permit lets it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from services.processor.lane.lane import Lane
from services.processor.lane.row import Row, State
from services.processor.offsets.watermark import Watermark, read_watermark
from services.processor.settings import ProcessorSettings
from shared.contract.cloud_events import decode
from tests.support.processor.lane_doubles import (
    Clock,
    FakeTransactions,
    accepted,
    finish,
    lane_settings,
    make_lane,
    put_in_doubt,
    record,
    retry,
)

TOPICS = ("hospital.rows.express", "hospital.rows.bulk")
#: Where the settle time is long, late creations are the danger; where the lease is long, zombies are.
SHORT_LEASE = lane_settings(window_rows=40)
LONG_LEASE = lane_settings(window_rows=40, lease_seconds=12, hospital_api_settle_seconds=0.5)
STEPS = 2_500

Known = tuple[str, int]


@dataclass
class Call:
    """A call that reached the directory: it may create a hospital at `creates_at`, or never."""

    sent: float
    creates_at: float | None


@dataclass
class Owner:
    """One ownership of the lane: alive until another takes over, a zombie from then on."""

    lane: Lane
    transactions: FakeTransactions
    in_doubt: dict[Row, float]
    at_the_guard: list[Row] = field(default_factory=list)
    under_way: dict[Row, Call] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    leaving: asyncio.Task[None] | None = None


class LaneSimulation:
    """The topics are lists of offsets with gaps, the broker keeps one commit and the results that came with it."""

    def __init__(self, chance: random.Random, clock: Clock, settings: ProcessorSettings) -> None:
        self.chance, self.clock, self.settings = chance, clock, settings
        self.deadline = settings.hospital_api_timeout
        self.settled = self.deadline + settings.hospital_api_settle_seconds
        self.log: dict[str, list[int]] = {topic: list(range(chance.randint(0, 3))) for topic in TOPICS}
        self.kept: dict[str, Watermark] = {}
        self.results: Counter[Known] = Counter()
        self.zombies: list[Owner] = []
        self.calls: dict[Known, list[Call]] = {}
        self.happened: Counter[str] = Counter()
        self.take_over()

    async def turn(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    # ---- owners ------------------------------------------------------------------------------------------------------

    def take_over(self) -> None:
        """As `takeover` does: without any commit a lane begins at the start, and all that there is is in doubt."""
        marks = {
            topic: read_watermark(self.kept[topic].offset, self.kept[topic].metadata())
            if topic in self.kept
            else Watermark(0, self.end_of(topic))
            for topic in TOPICS
        }
        in_doubt: dict[Row, float] = {}
        clean = all(mark.released for mark in self.kept.values())
        lane, transactions = make_lane(
            marks, self.settings, on_doubt=in_doubt.__setitem__, clock=self.clock, clean=clean, unowned=not self.kept
        )
        self.owner = Owner(lane, transactions, in_doubt)
        transactions.broker_answer = asyncio.get_running_loop().create_future()  # the broker's answers stay open
        self.happened["clean" if clean else "unclean"] += 1

    def keep(self, owner: Owner) -> None:
        """The broker keeps the commit that is under way."""
        records, self.kept = owner.transactions.offered
        owner.transactions.offered = None
        for _, _, value, headers in records:
            result = decode(headers, value)
            self.results[result.job_id, result.row] += 1

    def end_of(self, topic: str) -> int:
        return self.log[topic][-1] + 1 if self.log[topic] else 0

    async def crash(self) -> None:
        """Somebody else fences the lane; a commit under way has happened, or not."""
        for _ in range(3):
            await self.choose()  # it freezes with calls on their way
        if self.owner.transactions.offered is not None and self.chance.random() < 0.5:
            self.keep(self.owner)
        self.zombies = [*self.zombies[-3:], self.owner]
        self.take_over()

    # ---- commits -----------------------------------------------------------------------------------------------------

    async def commit_begins(self) -> None:
        owner = self.owner
        if owner.transactions.offered is None and owner.lane.committer.is_due():
            owner.tasks.append(asyncio.create_task(owner.lane.committer.commit()))
            await self.turn()

    async def commit_succeeds(self) -> None:
        owner = self.owner
        if owner.transactions.offered is not None:
            self.keep(owner)
            answer, owner.transactions.broker_answer = (
                owner.transactions.broker_answer,
                asyncio.get_running_loop().create_future(),
            )
            answer.set_result(None)
            await self.turn()

    async def commit(self) -> None:
        await self.commit_begins()
        await self.commit_succeeds()

    async def hand_over(self) -> None:
        """Begins, with a call now and then or without; or it has taken too long for that; or the next owner begins."""
        owner = self.owner
        if owner.leaving is None:
            owner.leaving = asyncio.create_task(owner.lane.hand_over(self.chance.choice((0, 1000))))
            await self.turn()
        elif not owner.leaving.done():
            owner.lane.hold()
            await self.turn()
        else:
            self.happened["handed over"] += 1
            owner.lane.close()
            await self.crash()

    # ---- rows --------------------------------------------------------------------------------------------------------

    async def deliver(self) -> None:
        """Records are written and polled."""
        for topic in TOPICS:
            if len(self.log[topic]) < self.chance.randint(0, STEPS // 10):
                start = self.end_of(topic) + self.chance.choice((0, 0, 0, 1, 7))
                self.log[topic] += range(start, start + self.chance.randint(1, 3))
            window = self.owner.lane._offsets.window(topic)
            if self.owner.leaving is None and self.owner.lane.has_room(topic, 4):
                behind = [offset for offset in self.log[topic] if offset >= window.position][:4]
                records = [record(accepted(offset + 2, job_id=topic), offset, topic) for offset in behind]
                self.owner.lane.admit(topic, records, behind[-1] + 1 if behind else self.end_of(topic))

    async def choose(self) -> None:
        """A row is on its way to its connection."""
        row = self.owner.lane.next_row(self.chance.choice(TOPICS))
        if row is not None and len(self.owner.at_the_guard) < 3:
            self.owner.lane.call_begins(row)
            self.owner.at_the_guard.append(row)

    async def guard(self) -> None:
        """The last question before the first byte, which a zombie asks as well."""
        owner = self.chance.choice([*self.zombies, self.owner]) if self.chance.random() < 0.35 else self.owner
        if owner.at_the_guard:
            self.ask_guard(owner, owner.at_the_guard.pop(self.chance.randrange(len(owner.at_the_guard))))

    def ask_guard(self, owner: Owner, row: Row) -> None:
        who = "owner" if owner is self.owner else "zombie"
        if owner.lane.permits(row):
            self.happened[f"{who} sent"] += 1
            later = self.chance.choice((None, None, 0.0, self.deadline, self.settled))
            call = owner.under_way[row] = Call(self.clock.now, None if later is None else self.clock.now + later)
            self.calls.setdefault(row.identity, []).append(call)
        else:
            self.happened[f"{who} not sent"] += 1
            if not owner.lane.ended:
                retry(owner.lane, row, 0.0)
            owner.lane.call_ended()

    async def answer(self) -> None:
        """What has been created is answered, or the answer is lost; 500 after which nothing happens any more."""
        owner = self.owner
        if not owner.under_way:
            return
        row = self.chance.choice(list(owner.under_way))
        call = owner.under_way[row]
        if call.creates_at is None:
            put_in_doubt(owner.lane, row, self.clock.now)
        elif call.creates_at > self.clock.now:
            return
        elif self.chance.random() < 0.7:
            finish(owner.lane, row, row.created(1))
        else:
            put_in_doubt(owner.lane, row, call.sent + self.settled)
        del owner.under_way[row]
        owner.lane.call_ended()

    async def look_up(self) -> None:
        owner = self.owner
        for row, at in list(owner.in_doubt.items()):
            if at <= self.clock.now and row.state is State.IN_DOUBT and owner.lane.may_send(self.clock.now):
                del owner.in_doubt[row]
                self.happened["looked up"] += 1
                if any(call.creates_at is not None and call.creates_at <= self.clock.now for call in self.made(row)):
                    finish(owner.lane, row, row.created(1, found=True))
                else:
                    self.happened["absent after a call"] += bool(self.made(row))
                    retry(owner.lane, row, 0.0)

    def made(self, row: Row) -> list[Call]:
        return self.calls.get(row.identity, [])

    async def time_passes(self) -> None:
        """Calls that reach their deadline are over, and their rows in doubt."""
        self.clock.now += self.chance.choice((0.01, 0.1, 0.1, 0.5, 0.5, 2.0))
        for owner in [self.owner, *self.zombies]:
            for row, call in list(owner.under_way.items()):
                if self.clock.now >= call.sent + self.deadline:
                    del owner.under_way[row]
                    if not owner.lane.ended:
                        put_in_doubt(owner.lane, row, call.sent + self.settled)
                    owner.lane.call_ended()
        await self.turn()

    # ---- promises ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        for row, calls in self.calls.items():
            created = sum(call.creates_at is not None for call in calls)
            assert created <= 1, f"{row} was created {created} times"
        assert all(count == 1 for count in self.results.values()), "a row has one result"
        if not self.owner.lane.ended:
            _, offered = self.owner.transactions.offered or ([], None)
            for marks in filter(None, (self.kept, offered)):
                for row in self.owner.under_way:
                    mark = marks[row.topic]
                    assert mark.offset <= row.place.offset < mark.horizon, "a crash now would leave it out of doubt"
                    assert not mark.released


WEIGHTS: dict[Callable[[LaneSimulation], object], int] = {
    LaneSimulation.deliver: 10,
    LaneSimulation.commit: 50,
    LaneSimulation.commit_begins: 10,
    LaneSimulation.commit_succeeds: 30,
    LaneSimulation.choose: 50,
    LaneSimulation.guard: 50,
    LaneSimulation.answer: 50,
    LaneSimulation.look_up: 20,
    LaneSimulation.time_passes: 50,
    LaneSimulation.hand_over: 5,
    LaneSimulation.crash: 2,
}


async def simulate(seed: int, clock: Clock, settings: ProcessorSettings) -> LaneSimulation:
    chance = random.Random(seed)
    simulation = LaneSimulation(chance, clock, settings)
    steps = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS)
    for step in steps:
        await step(simulation)
        simulation.check()
    return simulation


@pytest.mark.no_cover  # 125,000 steps; the tests of each part show what is covered
@pytest.mark.parametrize("settings", [SHORT_LEASE, LONG_LEASE], ids=["long settling", "long lease"])
@pytest.mark.parametrize("seed", range(25))
async def test_no_row_is_created_twice_and_none_has_two_results(seed, settings):
    """Whatever dies when; the owner's rows in flight are in doubt in every commit that the broker may have kept."""
    clock = Clock()
    simulation = await simulate(seed, clock, settings)
    assert simulation.calls, "a history in which nothing is sent proves nothing"
    for owner in [simulation.owner, *simulation.zombies]:
        for task in [*owner.tasks, *filter(None, (owner.leaving,))]:
            task.cancel()
