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


def test_a_partition_without_a_broker_does_not_keep_its_turn():
    """Else a few of them would keep all others waiting for as long as their broker is away."""
    turns = FetchTurns(FETCH)
    first = turns.choose(range(3), 1, 0.0)
    assert turns.choose(range(3), 1, SILENT_SECONDS) != first


@given(partitions=st.integers(1, 60), at_once=st.integers(1, 8), silent=st.sets(st.integers(0, 59)))
def test_every_partition_has_its_turn(partitions, at_once, silent):
    """Before any has its third, also when some of them never deliver anything."""
    turns, seen, current, now = FetchTurns(FETCH), Counter(), set(), 0.0
    while min((seen[partition] for partition in range(partitions)), default=0) < 2:
        chosen = turns.choose(range(partitions), at_once, now)
        assert len(chosen) == min(at_once, partitions)
        if partitions <= at_once:
            return
        seen.update(chosen - current)
        current = chosen
        assert max(seen.values()) <= 3
        for partition in chosen - silent:
            turns.delivered(partition, FETCH, now)
        now += SILENT_SECONDS
