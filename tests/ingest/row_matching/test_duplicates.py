"""Duplicates: each names the first row with its hospital."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.row_matching.duplicates import Duplicate, DuplicateRows, HashRange, RowHash
from shared.contract.hospital_matching import matching_key

HASH = RowHash(b"a key")
VALUES = st.text("aA bß İΣé\u0301\u0345\u1100\u1161-+()٣ﬀ\t", max_size=6)


@given(one=st.tuples(VALUES, VALUES, VALUES), other=st.tuples(VALUES, VALUES, VALUES))
@example(one=("a", "b", ""), other=("a", "b", "()"))
def test_hospitals_have_the_same_hash_when_they_are_alike(one, other):
    """By the rule of the contract, although both fields are folded at once."""
    first, second = ((name.strip(), address.strip(), phone) for name, address, phone in (one, other))
    assert (HASH.of(*first) == HASH.of(*second)) is (matching_key(*first) == matching_key(*second))


def test_hashes_with_another_key_cannot_be_compared():
    """And without one each object has its own."""
    hospital = ("St. Mary", "1 Main St", None)
    assert len({each.of(*hospital) for each in (HASH, RowHash(b"other"), RowHash(), RowHash())}) == 4


@pytest.mark.parametrize("part_rows", [5, 250_000])
@given(numbers=st.lists(st.integers(0, 2**64 - 1), max_size=60))
def test_every_hash_is_shown_once_in_the_part_that_it_belongs_to(part_rows, numbers):
    """In ascending order, for whoever compares them with others."""
    rows, parts = DuplicateRows(part_rows), []
    for row, number in enumerate(numbers, start=2):
        rows.add(row, number)

    list(rows.duplicates(lambda part, ordered: parts.append((part, ordered))))

    assert [part for part, _ in parts] == [HashRange(number, parts[0][0].bits) for number in range(len(parts))]
    assert sorted(numbers) == [number for _, ordered in parts for number in ordered]
    assert all(number >> 64 - part.bits == part.part for part, ordered in parts for number in ordered)


@pytest.mark.parametrize("part_rows", [5, 250_000])
@given(names=st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_every_duplicate_names_the_first_row_and_counts_those_above(part_rows, names):
    """Compared with looking at every pair, sorted in any number of parts."""
    rows = DuplicateRows(part_rows)
    for row, name in enumerate(names, start=2):
        rows.add(row, HASH.of(name, "street", "555"))

    expected = [
        Duplicate(row, names.index(name) + 2, names[: row - 2].count(name))
        for row, name in enumerate(names, start=2)
        if name in names[: row - 2]
    ]
    assert list(rows.duplicates()) == expected


def test_a_million_rows_take_twelve_bytes_each():
    """So that a large file can be checked in a small process."""
    rows = DuplicateRows()
    for row in range(1000):
        rows.add(row, HASH.of(str(row), "street", None))

    assert sum(column.itemsize for column in (rows._hashes, rows._rows)) == 12
    assert len(rows) == 1000
