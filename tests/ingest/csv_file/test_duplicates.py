"""Duplicates: each names the first row with its hospital."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.duplicates import Duplicate, DuplicateRows
from shared.contract.hospital_matching import matching_key


@pytest.mark.parametrize("part_rows", [5, 250_000])
@given(names=st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_every_duplicate_names_the_first_row_and_counts_those_above(part_rows, names):
    """Compared with looking at every pair, sorted in any number of parts."""
    rows = DuplicateRows(part_rows)
    for row, name in enumerate(names, start=2):
        rows.add(row, matching_key(name, "street", "555"))

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
        rows.add(row, matching_key(str(row), "street", None))

    assert sum(column.itemsize for column in (rows._hashes, rows._rows)) == 12
    assert len(rows) == 1000
