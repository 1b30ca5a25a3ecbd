"""The memory that rows may take: never more than there is, and yet nobody waits for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.processor.memory.budget import MemoryBudget
from services.processor.memory.sizes import BULK_SHARE, LANE_LIMIT, LARGEST_CHARGE

LIMIT = 100 * LARGEST_CHARGE
EXPRESS, BULK = True, False


@pytest.fixture
def budget():
    return MemoryBudget(LIMIT)


def fill(budget, *, express, lanes=10):
    """Lanes that hold what they may; returns them."""
    made = [budget.lane() for _ in range(lanes)]
    for lane in made:
        while lane.has_room(express=express):
            lane.take(LARGEST_CHARGE, express=express)
    return made


def test_a_lane_takes_what_fits():
    """What does not fit is counted out, and is fetched again later."""
    lane = MemoryBudget(1000).lane()  # of which a lane may take 250, and bulk rows 187 of them
    assert lane.fitting([100, 50, 50], express=BULK) == 2
    assert lane.fitting([100, 50, 50, 60], express=EXPRESS) == 3


def test_bulk_rows_leave_room_for_express_rows(budget):
    """A small job never waits for a large one."""
    fill(budget, express=BULK)
    late = budget.lane()
    late.take(LARGEST_CHARGE, express=BULK)
    assert not late.has_room(express=BULK)
    assert late.has_room(express=EXPRESS)
    assert budget.largest_records(express=BULK) == 0
    assert budget.largest_records(express=EXPRESS) > 0


def test_a_lane_that_stands_still_leaves_room_for_the_others(budget):
    """Its rows may all be in doubt, for as long as their look-up fails."""
    fill(budget, express=BULK, lanes=1)
    other = budget.lane()
    other.take(LARGEST_CHARGE, express=BULK)
    assert other.has_room(express=BULK)


@pytest.mark.parametrize("kind", [EXPRESS, BULK])
def test_a_lane_without_a_row_may_always_take_one(budget, kind):
    """However full all is, with rows of the other kind too: else it would wait for rows that may never end."""
    fill(budget, express=EXPRESS)
    late = budget.lane()
    late.take(LARGEST_CHARGE, express=not kind)
    assert late.has_room(express=kind)
    assert late.fitting([LARGEST_CHARGE] * 5, express=kind) == 1


def test_a_lane_that_ends_gives_everything_back(budget):
    """And a call that ends later gives nothing back twice."""
    lane = budget.lane()
    lane.take(LARGEST_CHARGE, express=BULK)
    lane.close()
    lane.give_back(LARGEST_CHARGE, express=BULK)
    assert budget.held == 0


def test_one_commit_stays_small_however_much_memory_there_is():
    """All of a lane may be committed at once: a job was cancelled."""
    assert MemoryBudget(100 * LANE_LIMIT).lane_limit == LANE_LIMIT


@given(
    limit=st.integers(20 * LARGEST_CHARGE, 10**9),
    charges=st.lists(st.integers(1, LARGEST_CHARGE), max_size=50),
    express=st.booleans(),
)
def test_room_for_any_record_is_room_for_the_next(limit, charges, express):
    """Else a partition would be fetched again and again for nothing."""
    lane = MemoryBudget(limit).lane()
    for charge in charges:
        lane.take(charge, express=express)
        if lane.has_room(express=express):
            assert lane.fitting([LARGEST_CHARGE], express=express) == 1


class Lanes(RuleBasedStateMachine):
    """Lanes that take and finish rows of any size, come and go."""

    @initialize(limit=st.integers(20 * LARGEST_CHARGE, 200 * LARGEST_CHARGE))
    def begin(self, limit):
        self.budget = MemoryBudget(limit)
        self.lanes = [(self.budget.lane(), []) for _ in range(4)]

    @rule(at=st.integers(0, 3), express=st.booleans(), charges=st.lists(st.integers(1, LARGEST_CHARGE), max_size=30))
    def deliver(self, at, express, charges):
        lane, rows = self.lanes[at]
        for charge in charges[: lane.fitting(charges, express=express)]:
            lane.take(charge, express=express)
            rows.append((charge, express))

    @rule(at=st.integers(0, 3), which=st.integers(0, 1000))
    def finish(self, at, which):
        lane, rows = self.lanes[at]
        if rows:
            charge, express = rows.pop(which % len(rows))
            lane.give_back(charge, express=express)

    @rule(at=st.integers(0, 3))
    def take_over_again(self, at):
        self.lanes[at][0].close()
        self.lanes[at] = (self.budget.lane(), [])

    @invariant()
    def it_knows_what_is_held(self):
        assert self.budget.held == sum(charge for _, rows in self.lanes for charge, _ in rows)

    @invariant()
    def only_one_row_of_each_kind_and_lane_is_above_the_limit(self):
        """Bulk rows alone stay below their share."""
        bulk, both = 0, 0
        for _, rows in self.lanes:
            bulk += max((charge for charge, express in rows if not express), default=0)
            both += max((charge for charge, express in rows if express), default=0)
        both += bulk
        held_by_bulk = sum(charge for _, rows in self.lanes for charge, express in rows if not express)
        assert held_by_bulk <= self.budget.limit * BULK_SHARE + bulk
        assert self.budget.held <= self.budget.limit + both

    @invariant()
    def nobody_waits_for_ever(self):
        for lane, rows in self.lanes:
            for kind in (True, False):
                if not any(express is kind for _, express in rows):
                    assert lane.has_room(express=kind)


TestLanes = Lanes.TestCase
