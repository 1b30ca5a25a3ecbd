"""Rows that were created before, beside what else is wrong: counted, and listed in the order of the file."""

import csv
from collections.abc import Container, Sequence

import pytest

from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules
from services.ingest.row_matching.created_before import CreatedRow
from services.ingest.row_matching.duplicates import HashRange, RowHash
from tests.support.ingest.written_csv import read, written

JOB, OTHER = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11", "7f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c22"


class Created:
    """Hospitals that were created, each by the row of its place in the list."""

    key = b"a key"

    def __init__(self, names: list[str]) -> None:
        hash_of = RowHash(self.key).of
        self.rows = {hash_of(name, "b", None): CreatedRow(JOB, row) for row, name in enumerate(names, start=2)}

    def within(self, hashes: HashRange, wanted: Sequence[int]) -> Container[int]:
        """All of them."""
        return self.rows

    def find(self, row_hash: int) -> CreatedRow | None:
        """The row with this hash."""
        return self.rows.get(row_hash)


def checked(directory, names, **rules):
    """What a file of these hospitals is found to be, when every second was created before."""
    text = "name,address\n" + "".join(f"{name},b\n" for name in names)
    return read(written(directory, text), Rules(10_000, created=Created(names[::2]), **rules))


@pytest.mark.parametrize("names", [["A", "C", "D", "E"], [f"Hospital {number}" for number in range(5_000)]])
def test_the_first_ten_are_listed_and_all_are_counted(tmp_path, names):
    """None of them is a warning, and none refuses the file."""
    result = checked(tmp_path, names)
    assert isinstance(result, FileAccepted)
    found = result.already_created
    assert found.count == len(names) // 2
    assert [(row, created.row) for row, created in found.rows] == [
        (2 * number + 2, number + 2) for number in range(min(10, found.count))
    ]
    assert result.warnings_total == 0


def test_strict_lists_them_among_the_other_errors_in_the_order_of_the_file(tmp_path):
    """In the answer and in the file of all problems; more than are listed are counted."""
    names = [f"Hospital {number}" for number in range(4_000)]
    problem_file = tmp_path / "problems.csv"
    result = checked(tmp_path, [*names, "Hospital 0", ""], strict=True, problem_file=problem_file)
    assert isinstance(result, FileRejected)
    assert result.errors_total == 2_001 + 1 + 1
    assert [error.row for error in result.errors] == [2 * number + 2 for number in range(1_000)]
    assert result.already_created.count == 2_001
    listed = list(csv.DictReader(problem_file.open(encoding="utf-8-sig")))
    rows = [int(line["row"]) for line in listed if line["row"]]
    assert rows == sorted(rows)
    assert {line["code"] for line in listed[-4:]} == {"created_before", "duplicate_row", "missing_value"}


def test_repeat_created_takes_them_also_when_warnings_are_errors(tmp_path):
    """They are told of all the same."""
    result = checked(tmp_path, ["A", "C"], strict=True, repeat_created=True)
    assert isinstance(result, FileAccepted)
    assert result.already_created.count == 1
