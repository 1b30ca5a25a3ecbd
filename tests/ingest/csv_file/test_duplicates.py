"""Duplicates: each names the first of its kind."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.csv_file import duplicates
from services.ingest.csv_file.duplicates import AlikeRows, Repeat
from shared.contract.hospital_matching import matching_key


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.sampled_from([5, 250_000]))
def test_every_repeat_names_the_first_and_counts_those_above(names, part_rows):
    """Compared with looking at every pair; in however many parts."""
    duplicates.PART_ROWS = part_rows
    alike = AlikeRows()
    for row, name in enumerate(names, start=2):
        alike.add(row, matching_key(name, "street", "555"))

    expected = [
        Repeat(row, names.index(name) + 2, names[: row - 2].count(name))
        for row, name in enumerate(names, start=2)
        if name in names[: row - 2]
    ]
    assert list(alike.repeats()) == expected


@pytest.fixture(autouse=True)
def _parts_as_they_are(monkeypatch):
    """Whatever a test sets is put back."""
    monkeypatch.setattr(duplicates, "PART_ROWS", duplicates.PART_ROWS)


def test_a_million_rows_take_twelve_bytes_each():
    """What lets a large file be checked in a small process."""
    alike = AlikeRows()
    for row in range(1000):
        alike.add(row, matching_key(str(row), "street", None))

    assert sum(column.itemsize for column in (alike._hashes, alike._rows)) == 12
    assert len(alike) == 1000
