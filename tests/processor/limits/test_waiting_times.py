"""How long to wait: slots of the rate limit, backoff, Retry-After."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.processor.directory.retry_after import LONGEST, parse_retry_after
from services.processor.limits.backoff import Backoff
from services.processor.limits.rate_slots import GRACE_SECONDS, RateSlots

RATES = st.tuples(st.integers(1, 200), st.floats(0.05, 60))
TIMES = st.floats(1_700_000_000, 1_900_000_000)


@given(RATES, TIMES)
def test_no_window_of_a_period_sees_more_than_the_limit(rates, start):
    """However late in its grace each slot is used, and however short the period is."""
    rate, period = rates
    slots = RateSlots(rate, period)
    first = slots.at(start) + 1
    earliest_of_the_one_too_many = slots.begins(first + rate)
    latest_of_the_first = slots.begins(first) + slots.grace
    assert earliest_of_the_one_too_many - latest_of_the_first >= period - 1e-6


def test_a_slot_is_forfeited_after_its_grace():
    """What comes late waits for the next."""
    slots = RateSlots(10, 1.0)
    slot = slots.at(1e9) + 1
    assert slots.at(slots.begins(slot)) == slot
    assert slots.usable_from(slots.begins(slot) + GRACE_SECONDS / 2) == slot
    assert slots.usable_from(slots.begins(slot) + GRACE_SECONDS * 2) == slot + 1


def test_a_short_period_has_a_short_grace():
    """Twenty milliseconds late in a tenth of a second would be one call too many in it."""
    slots = RateSlots(5, 0.1)
    slot = slots.at(1e9) + 1
    assert slots.usable_from(slots.begins(slot) + 0.001) == slot
    assert slots.usable_from(slots.begins(slot) + 0.003) == slot + 1


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
