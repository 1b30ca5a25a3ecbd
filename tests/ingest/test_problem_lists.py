"""All errors and warnings of a file as CSV: whole, in the file's order, safe in a spreadsheet, and in little memory."""

import csv
import io
import os
from itertools import pairwise

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.csv_file.problem_file import COLUMNS, ProblemFile
from services.ingest.csv_file.validation import FileRejected, Rules, validate_file
from services.ingest.problem_lists import wants_problem_list
from shared.runtime.http.row_problems import ProblemCode, RowProblem
from tests.support.ingest.ingest_server import VALIDATE, ingest, upload
from tests.support.ingest.workbooks import xlsx
from tests.support.ingest.written_csv import csv_bytes, written

CSV_TYPE = {"Accept": "text/csv"}


def listed(content: bytes) -> list[dict[str, str]]:
    """The lines of such a list."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.fixture
async def client(tmp_path):
    """A service whose Kafka is down."""
    async with ingest(tmp_path) as client:
        yield client


async def test_fifty_thousand_bad_rows_are_all_listed(client):
    """With their rows and values, in little memory; JSON lists the first 1,000 of them."""
    content = b"name,address,phone\n" + b"".join(b"a%d,b,call us\n" % row for row in range(2, 50_002))
    before = psutil.Process(os.getpid()).memory_info().rss
    answer = await upload(client, content, None, path=VALIDATE, headers=CSV_TYPE, file_name="Häuser.xlsx.csv")
    assert psutil.Process(os.getpid()).memory_info().rss - before < 100_000_000

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''H%C3%A4user.xlsx-errors.csv")
    lines = listed(answer.content)
    assert [int(line["row"]) for line in lines] == list(range(2, 50_002))
    assert {(line["column"], line["kind"], line["code"], line["value"]) for line in lines} == {
        ("phone", "error", "invalid_phone", "call us")
    }
    whole = await upload(client, content, None, path=VALIDATE)
    assert (len(whole.json()["errors"]), whole.json()["errors_total"]) == (1_000, 50_000)


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        ("name,address\nCafé,b\n".encode("cp1252"), ["unknown_encoding"]),
        (b"<html><body>Log in</body></html>", ["html_page"]),
        (b"name,address,city\na,b,c\n", ["unused_column"]),
        (xlsx({"List": [["name", "address"], ["a", ""]]}), ["missing_value"]),
        (xlsx({}), ["empty_file"]),
        (b"name,address\na,b\n", []),
    ],
    ids=["encoding", "no list", "warning", "workbook", "empty workbook", "nothing wrong"],
)
async def test_whatever_is_wrong_is_listed(client, content, codes):
    """Also what refuses a file before its rows are read, and what only warns."""
    answer = await upload(client, content, None, path=VALIDATE, headers=CSV_TYPE)
    assert [line["code"] for line in listed(answer.content)] == codes


async def test_what_is_no_list_at_all_is_a_problem_all_the_same(client):
    """As without the header."""
    answer = await upload(client, b"%PDF-1.7", None, path=VALIDATE, headers=CSV_TYPE)
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


async def test_a_spreadsheet_runs_nothing_of_it(client):
    """Cells and column names are whoever wrote the file's."""
    header, row = ["name", "address", "phone", "=note"], ["a", "b", "@SUM(1)", "c"]
    content = csv_bytes([header, row, ["a", "b", "+1 555 &", ""], [*row[:2], "+49 211 5", "x" * 1001]])
    lines = listed((await upload(client, content, None, path=VALIDATE, headers=CSV_TYPE)).content)
    assert [line["value"] for line in lines] == ["'@SUM(1)", "'+1 555 &", "x" * 100]
    assert lines[-1]["column"] == "'=note"
    assert lines[0]["message"].startswith("'@SUM(1)' is not a phone number.")


async def test_strict_lists_warnings_as_errors(client):
    """By which they refuse the file."""
    content = b"name,address\nTotal,b\n"
    answer = await upload(client, content, None, path=VALIDATE, headers=CSV_TYPE, params={"strict": "true"})
    assert [(line["code"], line["kind"]) for line in listed(answer.content)] == [("footer", "error")]


@pytest.mark.parametrize(
    ("accept", "is_wanted"),
    [
        ("text/csv", True),
        ("TEXT/CSV; q=0.5, */*", True),
        ("text/csv, application/json;q=0.9", True),
        ("application/json, text/csv;q=0.9", False),
        ("text/csv;q=0", False),
        ("text/csv;q=x", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_list_is_given_to_those_who_ask_for_it(accept, is_wanted):
    """Everybody else gets JSON."""
    assert wants_problem_list(accept) is is_wanted


#: The cell without a header's is a warning about the header.
ROWS = st.lists(
    st.sampled_from(
        [
            ["a", "b", "1234"],
            ["a", "b", "x"],
            ["Total", "b", ""],
            ["", "", "1"],
            ["a", "b", "x", "c"],
            ["d", "b", "1", "c"],
        ]
    ),
    max_size=12,
)


@given(ROWS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_list_is_what_the_answer_has_in_the_order_of_the_file(shared_directory, rows, strict):
    """Duplicates are found last, and stand where their rows do."""
    path = written(shared_directory, csv_bytes([["name", "address", "phone", ""], *rows]))
    result = validate_file(path, Rules(100, strict=strict, problem_file=shared_directory / "problems.csv"))
    lines = listed((shared_directory / "problems.csv").read_bytes())
    problems = [("warning", each) for each in result.warnings]
    problems += [("error", each) for each in (result.errors if isinstance(result, FileRejected) else [])]
    assert sorted((line["row"], line["kind"], line["code"]) for line in lines) == sorted(
        (str(each.row or ""), kind, each.code.value) for kind, each in problems
    )
    assert all(int(one["row"] or 0) <= int(other["row"] or 0) for one, other in pairwise(lines))
    assert {path.name for path in shared_directory.iterdir()} == {"upload.csv", "problems.csv"}


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("lists")


def test_a_warning_about_the_header_from_a_row_further_down_stands_at_the_top(tmp_path):
    """And what is found last stands where its row is."""
    rows = [["a", "b", "x"], ["c", "d", "1234"], ["c", "d", "1234", "note"], ["e", "f", "x"], ["e", "f", "y"]]
    path = written(tmp_path, csv_bytes([["name", "address", "phone", ""], *rows]))
    validate_file(path, Rules(100, problem_file=tmp_path / "problems.csv"))
    lines = listed((tmp_path / "problems.csv").read_bytes())
    assert [(line["row"], line["code"]) for line in lines] == [
        ("1", "unused_cells"),
        ("2", "invalid_phone"),
        ("4", "duplicate_row"),
        ("5", "invalid_phone"),
        ("6", "invalid_phone"),
    ]


def test_a_list_of_too_many_says_how_many_are_left(tmp_path):
    """The space on disk is bounded."""
    with ProblemFile(tmp_path / "list.csv", max_problems=3) as file:
        for row in range(2, 12):
            file.add(RowProblem(row=row, column=None, code=ProblemCode.FOOTER, message="Total"), "warning")
    lines = listed((tmp_path / "list.csv").read_bytes())
    assert tuple(lines[0]) == COLUMNS
    assert [line["row"] for line in lines] == ["2", "3", "4", ""]
    assert lines[-1]["message"] == "7 more are not listed."
