"""Whole files: what is accepted, what is not, and how much is said about it."""

import pytest

from services.ingest.csv_file.findings import MAX_LISTED
from services.ingest.csv_file.validation import (
    FileAccepted,
    FileRejected,
    Rules,
    TooManyRows,
    WrongKind,
    validate_file,
)
from tests.ingest import nasty_files
from tests.support.ingest.written_csv import read, written

RULES = Rules(max_rows=10_000)


@pytest.mark.parametrize("file", nasty_files.ALL, ids=lambda file: file.what)
def test_nasty_files_get_the_result_that_they_deserve(file, tmp_path):
    """The table says which; a name alone is the upload's business, not the reader's."""
    result = read(written(tmp_path, file.content), RULES)

    if file.status == 202 or file.file_name != "hospitals.csv":
        assert isinstance(result, FileAccepted)
    elif file.status == 415:
        assert isinstance(result, WrongKind)
        assert file.words in result.reason
    else:
        assert isinstance(result, FileRejected)
        said = [error.message for error in result.errors]
        assert any(file.words in message for message in [*said, f"{result.errors_total:,} errors"])


def test_every_bad_row_is_listed_in_the_file_s_order(tmp_path):
    """Bad rows and duplicates together."""
    content = "name,address\na,b\n,x\nc,d\nA,B\n,y\n"

    result = validate_file(written(tmp_path, content), RULES)

    assert isinstance(result, FileRejected)
    assert [error.row for error in result.errors] == [3, 5, 6]
    assert result.total == 5


def test_at_most_a_thousand_errors_are_listed(tmp_path):
    """The first ones, whatever their kind; the true number is told."""
    content = "name,address\n" + "a,b\n" * 900 + ",x\n" * 900

    result = validate_file(written(tmp_path, content), RULES)

    assert isinstance(result, FileRejected)
    assert [error.row for error in result.errors] == list(range(3, 3 + MAX_LISTED))
    assert result.errors_total == 899 + 900


def test_duplicates_are_taken_when_they_are_meant(tmp_path):
    """Each has the number of rows above it with the same hospital."""
    content = "name,address\na,b\nc,d\nA,b\na , b\n"

    result = validate_file(written(tmp_path, content), Rules(10, allow_duplicates=True))

    assert isinstance(result, FileAccepted)
    assert result.occurrences == {4: 1, 5: 2}


def test_a_hospital_is_repeated_a_thousand_times_at_most(tmp_path):
    """Each duplicate needs a batch of its own."""
    content = "name,address\n" + "a,b\n" * 1001

    result = validate_file(written(tmp_path, content), Rules(2000, allow_duplicates=True))

    assert isinstance(result, FileRejected)
    assert [error.row for error in result.errors] == [1002]


@pytest.mark.parametrize(("rows", "kind"), [(10, FileAccepted), (11, TooManyRows)])
def test_the_limit_of_rows_is_the_last_that_is_allowed(rows, kind, tmp_path):
    """Blank lines are no rows."""
    content = "name,address\n\n" + "".join(f"a{number},b\n" for number in range(rows))

    assert isinstance(validate_file(written(tmp_path, content), Rules(10)), kind)


HEADER = "name,address,phone\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("text", "row", "line"),
    [
        (HEADER + 'a,b,1\nc,d,"555\n' + "x,y,2\n" * 50, 3, 3),
        (HEADER + 'a,b,1\nc,d,"555\n' + "x,y,2\n" * 20_000, 3, 3),
        (HEADER + 'a,b,1\nc,d,"555\nx,y,2\nz,"w",3\nq,r,4\n', 3, 3),
        (HEADER + '"a\nb",b,1\n\nc,d,"555\nx,y,2\n', 4, 5),
        (HEADER + 'a,b,"555', 2, 2),
        ("\n\n" + HEADER + '"a\nb",c,"1\nd,e,2\n', 4, 4),
        ('name,address,"phone\na,b,1\n', 1, 1),
        ('"name,address,phone\na,b,1\n', 1, 1),
        ('name;"address;phone\na;b;1\n', 1, 1),
    ],
    ids=[
        "many",
        "too long",
        "closed by the next",
        "after breaks",
        "last",
        "own break",
        "header",
        "first",
        "semicolons",
    ],
)
def test_a_quote_without_end_is_named_with_the_line_its_record_began_on(tmp_path, text, row, line, mark, end):
    """Wherever it stands, and however the lines end."""
    result = validate_file(written(tmp_path, (mark + text.replace("\n", end)).encode()), Rules(100_000))

    assert isinstance(result, FileRejected)
    (error,) = [error for error in result.errors if error.row == row]
    assert f"begins on line {line} " in error.message
    assert "quote" in error.message
