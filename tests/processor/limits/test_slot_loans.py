"""Idle processors lend their rate slots to those that have work."""

from itertools import pairwise

import pytest

from services.processor.limits.rate_limit import RateLimit
from services.processor.limits.rate_slots import RateSlots
from services.processor.limits.slot_loans import (
    LOAN_SECONDS,
    MOST_LOANS,
    SILENT_SECONDS,
    UNREAD_SECONDS,
    SlotLoan,
    SlotLoans,
    SlotReport,
)
from tests.support.processor.slot_world import START, World, settle

# ---- what it is good for ---------------------------------------------------------------------------------------------


def test_a_lone_row_need_not_wait_for_the_slots_of_idle_processors():
    """At 30 calls a minute, 50 partitions and as many processors it waited up to 105 s: once in 50 slots."""
    world = World(RateSlots(30, 60.0, 50))
    everybody = [world.processor([lane]) for lane in range(50)]
    settle(world, everybody, 6)
    everybody[7].wants = True
    began = world.now
    used = settle(world, everybody, 30)
    assert used[0][0] - began < 4
    waits = [later - earlier for (earlier, _), (later, _) in pairwise(used) if later != earlier]
    assert max(waits) <= 2.1 + 2 * 0.25  # all slots are its own, and it looks four times a second


@pytest.mark.parametrize(("processors", "share"), [(1, 1.0), (2, 0.75), (3, 2 / 3), (6, 7 / 12)])
def test_a_processor_that_works_alone_gets_half_of_the_others_slots(processors, share):
    """At 10 calls a second. The other half stays, so that a row that comes to an idle processor is sent soon."""
    world = World(RateSlots(10, 1.0, 6))
    everybody = [world.processor(range(first, 6, processors)) for first in range(processors)]
    settle(world, everybody, 6)
    everybody[0].wants = True
    settle(world, everybody, 3)
    first = everybody[0].slot
    settle(world, everybody, 30, 0.05)
    passed = everybody[0].slot - first
    assert len([slot for slot in world.used if slot > first]) == pytest.approx(share * passed, rel=0.05)


def test_two_that_work_share_what_is_lent():
    """Neither of them lends anything."""
    world = World(RateSlots(30, 60.0, 8))
    everybody = [world.processor([lane, lane + 4]) for lane in range(4)]
    settle(world, everybody, 6)
    everybody[0].wants = everybody[1].wants = True
    settle(world, everybody, 10)
    used = [processor for _, processor in settle(world, everybody, 300)]
    counts = [used.count(processor) for processor in everybody]
    assert counts[2:] == [0, 0]
    assert 0.5 < counts[0] / counts[1] < 2


def test_slots_come_back_when_the_loan_ends():
    """A lender that has work waits for as long as a loan lasts, at most. Half of its slots it has at once."""
    world = World(RateSlots(10, 1.0, 6))
    working, idle = world.processor(range(3)), world.processor(range(3, 6))
    settle(world, [working, idle], 6)
    working.wants = True
    settle(world, [working, idle], 10)
    idle.wants = True
    soon = settle(world, [working, idle], 2, 0.05)
    assert sum(processor is idle for _, processor in soon) >= 2
    settle(world, [working, idle], LOAN_SECONDS)
    assert all(processor.may_use(slot) for slot, processor in slots_and_owners(world, working, idle))


def slots_and_owners(world, *processors):
    for slot in range(processors[0].slot + 1, processors[0].slot + 40):
        lane = world.slots.partition(slot)
        yield slot, next(processor for processor in processors if lane in processor.owned)


# ---- late, dead, replaced --------------------------------------------------------------------------------------------


def test_the_next_owner_leaves_what_was_lent():
    """The lender died; the borrower may not know it."""
    world = World(RateSlots(30, 60.0, 2))
    lender, borrower = world.processor([0]), world.processor([1])
    settle(world, [lender, borrower], 6)
    borrower.wants = True
    settle(world, [lender, borrower], 2)
    lent = [slot for slot in range(borrower.slot + 1, borrower.slot + 6) if world.slots.partition(slot) == 0]
    lent = [slot for slot in lent if borrower.may_use(slot)]
    assert lent
    heir = world.processor([0])
    settle(world, [borrower, heir], 1)
    assert not any(heir.may_use(slot) for slot in lent)
    assert heir.may_use(heir.slot + 21 - (heir.slot + 21) % 2 + world.slots.places(0)[0])


def test_a_loan_is_said_again_until_it_ends():
    """The topic keeps a processor's last report only. The next owner of the lane has to find all loans in it."""
    world = World(RateSlots(10, 1.0, 2))
    lender = world.processor([0])
    settle(world, [lender], 1)
    lender.loans.apply(SlotReport("borrower", world.slots.interval, wants_slots=True))
    first = lender.loans.report(lender.slot, wants_slots=False).loans
    assert first
    world.now += LOAN_SECONDS - 1
    assert set(first) <= set(lender.loans.report(lender.slot, wants_slots=True).loans)
    world.now += 2
    assert lender.loans.report(lender.slot, wants_slots=True).loans == ()


def test_a_loan_that_is_written_after_the_next_owners_claim_is_nobodys():
    """Its lender was frozen before it wrote."""
    world = World(RateSlots(30, 60.0, 2))
    lender, borrower = world.processor([0]), world.processor([1])
    settle(world, [lender, borrower], 6)
    borrower.wants = True
    borrower.report_when_due()
    borrower.write([lender, borrower])
    lender.read()
    late = lender.loans.report(lender.slot, wants_slots=False)
    assert late.loans
    heir = world.processor([0])
    heir.wants = True
    settle(world, [borrower, heir], 1)
    borrower.loans.apply(late)
    heir.loans.apply(late)
    loan = late.loans[0]
    assert not any(borrower.may_use(slot) for slot in range(loan.first, loan.end) if world.slots.partition(slot) == 0)


def test_without_its_own_claim_read_a_lanes_slots_are_not_used():
    """There may be loans that are not known yet. If the topic is out of order, all loans have ended some time."""
    world = World(RateSlots(10, 1.0, 1))
    processor = world.processor([0])
    assert not processor.may_use(processor.slot)
    world.now += UNREAD_SECONDS - 1
    assert not processor.may_use(processor.slot)
    world.now += 1
    assert processor.may_use(processor.slot)


def test_a_lane_that_was_taken_over_is_claimed_at_once():
    """So that nothing waits for the next report. A second claim has to be read anew."""
    world = World(RateSlots(10, 1.0, 2))
    processor = world.processor([0])
    assert processor.loans.is_urgent(processor.slot, wants_slots=False)
    settle(world, [processor], 1)
    assert processor.may_use(world.slots.places(0)[0] + 2 * (processor.slot // 2 + 1))
    assert not processor.loans.is_urgent(processor.slot, wants_slots=True)
    processor.take_over(0)
    assert not processor.may_use(world.slots.places(0)[0] + 2 * (processor.slot // 2 + 1))
    assert processor.loans.is_urgent(processor.slot, wants_slots=False)


def test_nothing_is_lent_to_who_has_gone_silent():
    """Nor by a processor that knows of a later owner of its lane."""
    world = World(RateSlots(10, 1.0, 2))
    lender, borrower = world.processor([0]), world.processor([1])
    borrower.wants = True
    settle(world, [lender, borrower], 6)
    assert lender.loans.report(lender.slot, wants_slots=False).loans
    settle(world, [lender], SILENT_SECONDS + LOAN_SECONDS)
    assert not lender.loans.report(lender.slot, wants_slots=False).loans
    lender.loans.apply(SlotReport("other", world.slots.interval, wants_slots=True, claims={0: 99}))
    assert not lender.loans.report(lender.slot, wants_slots=False).loans


def test_nothing_is_lent_to_who_may_have_died_long_ago():
    """The topic keeps the last report of every processor that ever was."""
    world = World(RateSlots(10, 1.0, 1))
    lender = world.processor([0])
    settle(world, [lender], 1)
    report = SlotReport("dead", world.slots.interval, wants_slots=True)
    lender.loans.apply(report, replayed=True)
    assert not lender.loans.report(lender.slot, wants_slots=False).loans
    lender.loans.apply(report)
    assert lender.loans.report(lender.slot, wants_slots=False).loans


def test_a_processor_with_another_rate_neither_borrows_nor_lends():
    """While the rate is changed one processor after the other, the same number of a slot means different times."""
    world = World(RateSlots(10, 1.0, 2))
    processor = world.processor([0])
    settle(world, [processor], 1)
    slot = world.slots.places(0)[1] + 4 * (processor.slot // 4 + 1)
    other = SlotLoan(world.slots.places(0)[1], 9, "other", 0, slot + 1000)
    processor.loans.apply(SlotReport("other", 0.5, wants_slots=True, loans=(other,)))
    assert processor.may_use(slot)
    assert not processor.loans.report(processor.slot, wants_slots=False).loans


def test_a_report_stays_small():
    """However many lanes there are."""
    world = World(RateSlots(100, 1.0, 1000))
    lender, borrower = world.processor(range(999)), world.processor([999])
    borrower.wants = True
    settle(world, [lender, borrower], 6)
    assert 0 < len(lender.loans.report(lender.slot, wants_slots=False).loans) <= MOST_LOANS


def test_a_clock_that_was_ahead_for_a_moment_does_not_bind_a_lender_for_long():
    """What it lent lies in the future. Everything before that is its own still."""
    world = World(RateSlots(10, 1.0, 1))
    lender = world.processor([0])
    settle(world, [lender], 1)
    lender.loans.apply(SlotReport("borrower", world.slots.interval, wants_slots=True))
    ahead = lender.loans.report(lender.slot + 36_000, wants_slots=False)
    assert ahead.loans
    assert lender.may_use(lender.slot + 1)
    assert not lender.may_use(
        next(slot for slot in range(ahead.loans[0].first, ahead.loans[0].end) if slot % 2 == ahead.loans[0].place)
    )


# ---- together with the rate limit ------------------------------------------------------------------------------------


async def test_the_rate_limit_uses_what_was_lent():
    """And says that it wants slots for as long as something waits, and a second longer."""
    now = [0.0]
    slots = RateSlots(10, 1.0, 6)
    owned = {0: 1}
    loans = SlotLoans(slots, "p1", lambda: owned, lambda: now[0])

    async def sleep(seconds):
        now[0] += max(seconds, 1e-6)
        if now[0] > 0.5:
            assert rate_limit.wants_slots
            loans.apply(SlotReport("p1", slots.interval, claims=owned))

    rate_limit = RateLimit(10, 1.0, 6, lambda: owned, lambda: now[0], lambda: START + now[0], sleep, loans)
    assert not rate_limit.wants_slots
    assert rate_limit.must_report_slots  # its lane has not been claimed yet
    assert rate_limit.slot_report().claims == owned
    assert not rate_limit.must_report_slots
    await rate_limit.acquire()
    assert now[0] > 0.5
    first = slots.at(START + now[0])
    assert slots.partition(first) == 0
    loans.apply(
        SlotReport(
            "p2", slots.interval, loans=tuple(SlotLoan(place, 1, "p1", first, first + 100) for place in range(12))
        )
    )
    await rate_limit.acquire()
    assert slots.at(START + now[0]) == first + 1
    assert rate_limit.wants_slots
    assert rate_limit.slot_report().wants_slots
    now[0] += 1.5
    assert not rate_limit.wants_slots


def test_without_a_limit_or_loans_there_is_nothing_to_report():
    """RATE_LIMIT_REQUESTS=0, or a processor that does not lend."""
    for rate_limit in (RateLimit(0, 1.0, 6, dict), RateLimit(10, 1.0, 6, dict)):
        assert rate_limit.slot_report() is None
        assert not rate_limit.must_report_slots
