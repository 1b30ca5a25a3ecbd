"""Batches are small and hold no hospital twice."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.job_events.batches import Batches, count_batches
from services.ingest.row_matching.duplicates import DuplicateRows, RowHash


@given(st.lists(st.sampled_from("abcdefgh"), max_size=80), st.integers(1, 5))
def test_no_batch_holds_a_hospital_twice_or_more_rows_than_its_size(names, size):
    """Whatever is repeated however often."""
    rows, hash_of = DuplicateRows(), RowHash().of
    for row, name in enumerate(names, start=2):
        rows.add(row, hash_of(name, "street", None))
    occurrences = {duplicate.row: duplicate.occurrence for duplicate in rows.duplicates()}
    batches = Batches(size)
    members: dict[str, list[str]] = defaultdict(list)

    for row, name in enumerate(names, start=2):
        members[batches.batch_for(occurrences.get(row, 0))].append(name)

    assert all(len(names_in) == len(set(names_in)) <= size for names_in in members.values())
    assert count_batches(len(names), occurrences.values(), size) == len(batches.ids)
    assert list(members) == batches.ids


@given(st.integers(1, 500), st.integers(1, 50))
def test_without_duplicates_batches_are_filled(rows, size):
    """No more batches than it takes."""
    batches = Batches(size)

    for _ in range(rows):
        batches.batch_for(0)

    assert len(batches.ids) == -(-rows // size)


def test_batch_ids_are_distinct():
    """They name batches of the directory, which others use too."""
    batches = Batches(1)

    assert len({batches.batch_for(0) for _ in range(100)}) == 100
