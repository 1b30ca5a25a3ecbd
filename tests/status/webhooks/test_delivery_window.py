"""A partition's messages: a commit never forgets one that is not done, and remembers those that are."""

import time
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from services.status.webhooks.delivery_window import DeliveryWindow


def test_the_commit_stays_before_what_is_not_done():
    """Whatever was done after it."""
    window = DeliveryWindow(10)
    assert [window.admit(offset) for offset in (10, 12, 15)] == [True] * 3
    window.finish(12)
    window.finish(15)
    window.advance(20)
    offset, metadata = window.commit()
    assert offset == 10
    again = DeliveryWindow(offset, metadata)
    assert [again.admit(offset) for offset in (10, 12, 15)] == [True, False, False]


def test_with_everything_done_the_commit_is_what_was_read():
    """Also past records that are no messages."""
    window = DeliveryWindow(10)
    window.admit(10)
    window.finish(10)
    window.advance(30)
    assert window.commit() == (30, "")


@given(
    st.integers(0, 1_000),
    st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=60),
    st.integers(0, 59),
)
def test_whoever_goes_on_posts_what_is_not_done_and_nothing_else(begin, messages, cut):
    """After any commit, and after one more that followed it."""
    window, offset, done, offsets = DeliveryWindow(begin), begin, set(), []
    stored = window.commit()
    for number, (taken, gap) in enumerate(messages):
        offset += gap
        offsets.append(offset)
        window.admit(offset)
        if taken:
            window.finish(offset)
            done.add(offset)
        if number == cut:
            window = DeliveryWindow(*window.commit())
            again = [each for each in offsets if each >= window.position]
            assert all(each in done for each in offsets if each not in again)
            assert [each for each in again if window.admit(each)] == [each for each in again if each not in done]
        stored = window.commit()
    missing = [each for each in offsets if each not in done]
    assert stored[0] <= min(missing, default=offset + 1)


def test_more_than_kafka_takes_is_left_out_from_the_end():
    """Those are posted again after a restart: at least once, and never none."""
    window = DeliveryWindow(0)
    window.admit(0)
    offsets = [number * number % 1_000_003 + 1 for number in range(1, 60_000)]
    for offset in offsets:
        window.admit(offset)
        window.finish(offset)
    offset, metadata = window.commit()
    assert offset == 0
    assert len(metadata) <= 4_000
    again = DeliveryWindow(offset, metadata)
    assert again.admit(0)
    assert not again.admit(min(offsets))


def test_a_day_of_messages_behind_one_that_nobody_takes_costs_little():
    """A commit comes each second: what is done far behind makes it no slower, and fills no memory."""
    window = DeliveryWindow(0)
    window.admit(0)
    tracemalloc.start()
    try:
        for offset in range(5, 300_000, 5):
            window.admit(offset)
            window.finish(offset)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 300_000
    begun = time.process_time()
    for offset in range(300_000, 301_000, 5):
        window.admit(offset)
        window.finish(offset)
        window.commit()
    assert time.process_time() - begun < 1
    assert window.commit()[0] == 0


def test_what_is_done_far_behind_is_remembered_when_the_first_is_done_too():
    """A commit leaves it out at first."""
    window = DeliveryWindow(0)
    for offset in (0, 1_000, 1_000_000, 1_000_001):
        window.admit(offset)
    window.finish(1_000_001)
    assert window.commit() == (0, "")
    window.finish(0)
    window.finish(1_000)
    again = DeliveryWindow(*window.commit())
    assert [again.admit(offset) for offset in (1_000_000, 1_000_001)] == [True, False]


def test_metadata_of_somebody_else_says_nothing():
    """A tool may have moved the group's offset."""
    assert DeliveryWindow(5, "moved by hand").admit(6)
