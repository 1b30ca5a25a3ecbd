"""Turns of partitions in which more waits than is fetched at once."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.processor.memory.fetch_turns import SILENT_SECONDS, FetchTurns

FETCH = 1000


def test_few_partitions_need_no_turns():
    """An installation with six partitions and nothing to do."""
    assert FetchTurns(FETCH).choose([1, 2, 3], 4, 0.0) == {1, 2, 3}


def test_a_turn_lasts_until_a_whole_fetch_has_been_taken():
    """What was fetched of a partition that is paused is thrown away."""
    turns = FetchTurns(FETCH)
    (first,) = turns.choose(range(3), 1, 0.0)
    turns.delivered(first, FETCH - 1, 0.1)
    assert turns.choose(range(3), 1, 0.1) == {first}
    turns.delivered(first, 1, 0.2)
    assert turns.choose(range(3), 1, 0.2) != {first}


def test_a_silent_partition_keeps_no_other_waiting_and_keeps_its_turn():
    """Its broker may be away, or so slow that what it sends would be thrown away each time."""
    turns = FetchTurns(FETCH)
    (first,) = turns.choose(range(3), 1, 0.0)
    both = turns.choose(range(3), 1, SILENT_SECONDS)
    assert first in both
    assert len(both) == 2
    turns.delivered(first, FETCH, SILENT_SECONDS)
    assert turns.choose(range(3), 1, SILENT_SECONDS) == both - {first}


@given(partitions=st.integers(1, 60), at_once=st.integers(1, 8), silent=st.sets(st.integers(0, 59)))
def test_every_partition_has_its_turn(partitions, at_once, silent):
    """Before any that delivers has its fourth, also when some of them never deliver anything."""
    turns, seen, current, now = FetchTurns(FETCH), Counter(), set(), 0.0
    everyone = set(range(partitions))
    while any(seen[partition] < (1 if partition in silent else 3) for partition in everyone):
        chosen = turns.choose(everyone, at_once, now)
        if partitions <= at_once:
            assert chosen == everyone
            return
        assert len(chosen - silent) <= at_once
        seen.update(chosen - current)
        current = chosen & silent  # the turns of the others are over
        assert max(seen.values()) <= 4
        for partition in chosen - silent:
            turns.delivered(partition, FETCH, now)
        now += SILENT_SECONDS
