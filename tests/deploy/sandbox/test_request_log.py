"""The log and the counts that chaos tests read."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.sandbox.hospitals import HospitalBody
from deploy.local.sandbox.request_log import Caller, RequestLog, busiest_window

MARY = HospitalBody("St. Mary's", "1 Main St", "555-0100", "batch-1")


def created(request_log: RequestLog, *bodies: HospitalBody) -> None:
    for number, body in enumerate(bodies, start=1):
        request_log.created(number, body, "answered", Caller(port=4711))


def test_the_same_body_created_twice_is_a_double() -> None:
    """The one thing that must never be found after a chaos round."""
    request_log = RequestLog()
    created(request_log, MARY, MARY, MARY)
    assert list(request_log.doubles()) == [(MARY, 3)]
    assert (request_log.creates, request_log.doubles_total) == (3, 1)


def test_the_same_hospital_in_another_batch_is_no_double() -> None:
    """Duplicates that the uploader allowed go to different batches."""
    request_log = RequestLog()
    created(request_log, MARY, HospitalBody(MARY.name, MARY.address, MARY.phone, "batch-2"))
    assert list(request_log.doubles()) == []


def test_forgetting_keeps_the_calls_under_way_in_flight() -> None:
    """Else a reset in mid-call would count below zero."""
    request_log = RequestLog()
    arrived = request_log.begin()
    request_log.clear()
    assert (request_log.in_flight, request_log.peak_in_flight) == (1, 1)
    request_log.finish(arrived, "GET", "/hospitals/", "200", 1)
    assert request_log.in_flight == 0


def test_the_peak_is_the_most_calls_at_one_time() -> None:
    """Two at once, then one after the other."""
    request_log = RequestLog()
    first, second = request_log.begin(), request_log.begin()
    request_log.finish(first, "GET", "/", "200", 1)
    request_log.finish(second, "GET", "/", "200", 1)
    request_log.finish(request_log.begin(), "GET", "/", "200", 1)
    assert request_log.peak_in_flight == 2


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
