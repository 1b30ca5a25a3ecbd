"""The counts that proofs rest on."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.sandbox.hospitals import HospitalDraft
from deploy.local.sandbox.request_log import Caller, Ledger, busiest_window

MARY = HospitalDraft("St. Mary's", "1 Main St", "555-0100", "batch-1")


def created(ledger: Ledger, *drafts: HospitalDraft) -> None:
    for number, draft in enumerate(drafts, start=1):
        ledger.created(number, draft, "answered", Caller(port=4711))


def test_the_same_draft_created_twice_is_a_double() -> None:
    """The one thing that must never be found after a chaos round."""
    ledger = Ledger()
    created(ledger, MARY, MARY, MARY)
    assert list(ledger.doubles()) == [(MARY, 3)]
    assert (ledger.creates, ledger.doubles_total) == (3, 1)


def test_the_same_hospital_in_another_batch_is_no_double() -> None:
    """Duplicates that the uploader allowed go to different batches."""
    ledger = Ledger()
    created(ledger, MARY, HospitalDraft(MARY.name, MARY.address, MARY.phone, "batch-2"))
    assert list(ledger.doubles()) == []


def test_forgetting_keeps_the_calls_under_way_in_flight() -> None:
    """Else a reset in mid-call would count below zero."""
    ledger = Ledger()
    arrived = ledger.arrive()
    ledger.forget()
    assert (ledger.in_flight, ledger.peak_in_flight) == (1, 1)
    ledger.leave(arrived, "GET", "/hospitals/", "200", 1)
    assert ledger.in_flight == 0


def test_the_peak_is_the_most_calls_at_one_time() -> None:
    """Two at once, then one after the other."""
    ledger = Ledger()
    first, second = ledger.arrive(), ledger.arrive()
    ledger.leave(first, "GET", "/", "200", 1)
    ledger.leave(second, "GET", "/", "200", 1)
    ledger.leave(ledger.arrive(), "GET", "/", "200", 1)
    assert ledger.peak_in_flight == 2


def test_two_requests_exactly_one_window_apart_are_not_in_one() -> None:
    """Windows are half-open, as a rate limit means them."""
    assert busiest_window([0.0, 1.0], 1.0) == 1
    assert busiest_window([0.0, 0.999], 1.0) == 2
    assert busiest_window([], 1.0) == 0


@given(st.lists(st.integers(0, 100), max_size=60).map(sorted), st.integers(1, 20))
def test_the_busiest_window_is_what_counting_every_window_finds(arrivals, seconds) -> None:
    """The quick count and the plain one agree."""
    plain = max((sum(end - seconds < at <= end for at in arrivals) for end in arrivals), default=0)
    assert busiest_window(arrivals, seconds) == plain
