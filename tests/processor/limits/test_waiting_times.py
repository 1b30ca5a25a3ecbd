"""How long to wait: slots of the rate limit, backoff, Retry-After."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.processor.directory.retry_after import LONGEST, parse_retry_after
from services.processor.limits.backoff import Backoff
from services.processor.limits.rate_slots import GRACE_SECONDS, RateSlots, slot_order

RATES = st.tuples(st.integers(1, 200), st.floats(0.05, 60), st.integers(1, 12))
TIMES = st.floats(1_700_000_000, 1_900_000_000)


@given(RATES, TIMES)
def test_no_window_of_a_period_sees_more_than_the_limit(rates, start):
    """However late in its grace each slot is used, and however short the period is."""
    rate, period, partitions = rates
    slots = RateSlots(rate, period, partitions)
    first = slots.at(start) + 1
    earliest_of_the_one_too_many = slots.begins(first + rate)
    latest_of_the_first = slots.begins(first) + slots.grace
    assert earliest_of_the_one_too_many - latest_of_the_first >= period - 1e-6


@given(RATES, TIMES, st.data())
def test_every_slot_has_one_owner_and_none_is_left_out(rates, time, data):
    """Partitions shared out over processors in any way use each slot exactly once."""
    rate, period, partitions = rates
    slots = RateSlots(rate, period, partitions)
    owners = data.draw(st.lists(st.integers(0, 2), min_size=partitions, max_size=partitions))
    taken = []
    for owner in range(3):
        owned = [index for index, of in enumerate(owners) if of == owner]
        used = -1
        while owned and (slot := slots.next_slot(time, owned, used)) < slots.at(time) + 2 + partitions:
            taken.append(slot)
            used = slot
    first = min(taken)
    assert sorted(taken) == list(range(first, max(taken) + 1))
    assert first <= slots.at(time) + 1


@given(st.integers(1, 1000))
def test_every_partition_gets_one_slot_in_turn(partitions):
    """In an order that all processors work out alike."""
    assert sorted(slot_order(partitions)) == list(range(partitions))


def test_without_partitions_there_is_no_slot():
    """A processor that owns nothing sends nothing."""
    assert RateSlots(10, 1.0, 6).next_slot(1e9, [], -1) is None


def test_a_slot_is_forfeited_after_its_grace():
    """What comes late waits for the next."""
    slots = RateSlots(10, 1.0, 1)
    begin = slots.begins(slots.at(1e9) + 1)
    slot = slots.at(begin)
    assert slots.next_slot(begin + GRACE_SECONDS / 2, [0], -1) == slot
    assert slots.next_slot(begin + GRACE_SECONDS * 2, [0], -1) == slot + 1
    assert slots.next_slot(begin, [0], slot) == slot + 1


@pytest.mark.parametrize(
    ("partitions", "processors", "longest"), [(50, 1, 1), (50, 2, 3), (50, 3, 5), (6, 2, 2), (6, 3, 4), (12, 3, 5)]
)
def test_a_processor_need_not_wait_for_all_slots_of_the_others(partitions, processors, longest):
    """It owns neighbouring partitions. Its slots are spread: no two further apart than `longest` slots.

    In the order of the partitions one of three processors with 50 waited for 35 slots: 74 s at 30 calls a minute.
    """
    slots = RateSlots(30, 60.0, partitions)
    share = -(-partitions // processors)
    for first in range(0, partitions, share):
        owned = range(first, min(first + share, partitions))
        waits, slot = [], -1
        for _ in range(2 * len(owned)):
            following = slots.next_slot(0.0, owned, slot)
            waits.append(following - slot)
            slot = following
        assert max(waits) <= longest


def test_a_short_period_has_a_short_grace():
    """Twenty milliseconds late in a tenth of a second would be one call too many in it."""
    slots = RateSlots(5, 0.1, 1)
    begin = slots.begins(slots.at(1e9) + 1)
    slot = slots.at(begin)
    assert slots.next_slot(begin + 0.001, [0], -1) == slot
    assert slots.next_slot(begin + 0.003, [0], -1) == slot + 1


@given(st.integers(0, 50))
def test_backoff_grows_and_stays_within_its_bounds(failures):
    """Two seconds first, ten at most."""
    wait = Backoff(2, 10).seconds(failures)
    assert 2 <= wait <= 10


def test_rows_that_failed_together_do_not_come_back_together():
    """Not even when the wait has stopped growing."""
    backoff = Backoff(2, 10)
    assert len({backoff.seconds(20) for _ in range(20)}) > 1


def test_backoff_doubles():
    """Jitter is at most a quarter of the shortest wait."""
    assert 4 <= Backoff(2, 100).seconds(2) <= 4.5
    assert 8 <= Backoff(2, 100).seconds(3) <= 8.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 0 ", 0.0),
        ("999999999", LONGEST),
        ("Tue, 24 Nov 2026 00:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    """Nonsense says nothing, and nobody silences us for more than an hour."""
    assert parse_retry_after(value, datetime(2026, 11, 24, tzinfo=UTC)) == seconds
