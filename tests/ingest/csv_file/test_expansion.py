"""What a file may grow to, since the record of each row repeats the column names."""

import pytest

from services.ingest.csv_file.expansion import max_name_bytes, max_rows
from services.ingest.csv_file.validation import FileAccepted, NamesTooLong, Rules, validate_file
from tests.support.ingest.written_csv import written

#: 500 columns whose names have 760 bytes each: 382 kB.
LONG_NAMES = ("name", "address", *(f"{number:03}" + "🏥" * 189 for number in range(498)))
#: What a spreadsheet of hospitals may look like.
ORDINARY_NAMES = ("name", "address", "phone", *(f"facility contact {number:02}" for number in range(31)))


@pytest.mark.parametrize(("rows", "kind"), [(170, FileAccepted), (300, NamesTooLong), (1_000_000, NamesTooLong)])
def test_short_rows_under_a_long_header_are_taken_while_they_are_few(tmp_path, rows, kind):
    """382 kB with 300 rows were 115 MB of records."""
    content = ",".join(LONG_NAMES) + "\n" + "".join(f"n{number},a{number}\n" for number in range(rows))

    assert isinstance(validate_file(written(tmp_path, content), Rules(1_000_000)), kind)


def test_a_file_that_grows_too_much_is_not_read_to_its_end(tmp_path):
    """What is wrong further down does not matter."""
    content = ",".join(LONG_NAMES) + "\n" + "a,b\n" * 300

    result = validate_file(written(tmp_path, content), Rules(1_000_000))

    assert result == NamesTooLong(max_name_bytes((tmp_path / "upload.csv").stat().st_size))


@pytest.mark.parametrize("cells", [["a", "b"], ["St. Mary", "1 Main Street", "555-0101", *[""] * 31], ["cell"] * 34])
def test_a_million_rows_under_ordinary_names_are_fine(cells):
    """Mostly empty ones, and such as leave out the empty cells at their end while the names are few."""
    names = ORDINARY_NAMES[: max(3, len(cells))]
    row_bytes = len(",".join(cells)) + 1

    assert max_rows(names, 1_000_000 * row_bytes) >= 1_000_000
