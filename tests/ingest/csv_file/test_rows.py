"""Rows: unchanged where they are good, and told what is wrong where they are not."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.header import Header, find_header
from services.ingest.csv_file.rows import MAX_FIELD_CHARS, Row, RowReader, RowRejected
from shared.contract.hospital_matching import matching_key
from tests.support.ingest.written_csv import CELLS, DIALECTS, FILLED_CELLS, csv_bytes


def outcomes(text: str) -> list[Row | RowRejected]:
    """Every row of a text with a good header."""
    opened = io.StringIO(text, newline="")
    header = find_header(opened)
    assert isinstance(header, Header)
    return list(RowReader(header).read(opened))


def problems(text: str) -> list[tuple[int | None, str | None, str]]:
    """What is wrong with the rows, in their order."""
    found = [outcome.errors for outcome in outcomes(text) if isinstance(outcome, RowRejected)]
    return [(error.row, error.column, error.message) for errors in found for error in errors]


@given(st.lists(st.tuples(CELLS, FILLED_CELLS, FILLED_CELLS), max_size=8), DIALECTS)
def test_every_named_column_is_returned_unchanged(rows, dialect):
    """In the input's order and with the input's own text; only what the directory gets is stripped."""
    text = csv_bytes([("Note", "Name", "address"), *rows], **dialect).decode()

    found = outcomes(text)

    assert [row.cells for row in found if isinstance(row, Row)] == [list(cells) for cells in rows]
    assert [(row.name, row.address) for row in found if isinstance(row, Row)] == [
        (name.strip(), address.strip()) for _, name, address in rows
    ]


def test_rows_carry_the_spreadsheet_s_number():
    """Blank lines count, a quoted line break does not."""
    text = 'name,address\na,"1\n2"\n\n,,\nb,3\n'

    assert [row.row for row in outcomes(text) if isinstance(row, Row)] == [2, 5]


@pytest.mark.parametrize("line", ["a,b", "a,b,", "a,b,,,,,,,", '"a",b,"",""'])
def test_empty_cells_at_the_end_are_left_out(line):
    """Some spreadsheets leave them out themselves; under a thousand columns they would be most of a short row."""
    (row,) = outcomes(f"name,address,phone,,beds,result_row\n{line}\n")

    assert isinstance(row, Row)
    assert (row.cells, row.phone) == (["a", "b"], None)


@pytest.mark.parametrize(("line", "cells"), [("a,b,,,7", ["a", "b", "", "7"]), ("a,b,, , ", ["a", "b", "", " "])])
def test_empty_cells_before_others_stay(line, cells):
    """The place of a cell says which column it belongs to. What is blank is not empty."""
    (row,) = outcomes(f"name,address,phone,,beds\n{line}\n")

    assert isinstance(row, Row)
    assert row.cells == cells


@pytest.mark.parametrize(("header", "line"), [("address,note,name", "b"), ("note,name,address", "n,a")])
def test_a_row_that_ends_before_a_required_cell_is_told_so(header, line):
    """As one in which it is empty."""
    ((row, _, message),) = problems(f"{header}\n{line}\n")

    assert row == 2
    assert message.endswith("is missing.")


def test_empty_cells_beyond_the_header_do_no_harm():
    """Trailing delimiters are everywhere."""
    (row,) = outcomes("name,address\na,b,,\n")

    assert isinstance(row, Row)


def test_a_column_without_a_name_is_left_out():
    """With one warning about all of its cells: an index column of pandas stops nobody."""
    text = "name,,address\na,,b\nc,x,d\ne,y,f\n"
    opened = io.StringIO(text, newline="")
    reader = RowReader(find_header(opened))
    assert [row.cells for row in reader.read(opened)] == [["a", "b"], ["c", "d"], ["e", "f"]]
    (warning,) = reader.warnings
    assert (warning.row, warning.code, warning.value) == (1, "unused_cells", "x")
    assert "Column 2 has no name" in warning.message


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (" ,b,1", "name", "The name is missing."),
        ("a,\u00a0,1", "address", "The address is missing."),
        ("a,b,call us", "phone", "is not a phone number"),
        ("a,b,555?", "phone", "is not a phone number"),
        (
            "a,b,1,c",
            None,
            "The row has 4 fields, the header 3. Is there a comma inside a field?",
        ),
        ("a\x00,b,1", "name", "invisible control character at position 2"),
        ("a,b\x1b[31m,1", "address", "invisible control character at position 2"),
        ("a,b\x85c,1", "address", "invisible control character at position 2"),
        ("x" * (MAX_FIELD_CHARS + 1) + ",b,1", "name", "1,001 characters"),
        ('"a"x,b,1', None, "text follows a closing quote"),
    ],
)
def test_a_bad_row_says_what_to_do(line, column, words):
    """With its row, and its column where it has one."""
    ((row, found_column, message),) = problems(f"name,address,phone\nfine,fine,1\n{line}\n")

    assert (row, found_column) == (3, column)
    assert words in message


def test_a_row_lists_everything_that_is_wrong_with_it():
    """One round of corrections is enough."""
    found = problems("name,address,phone\n ,,call us\n")

    assert [column for _, column, _ in found] == ["name", "address", "phone"]


@pytest.mark.parametrize(
    ("phone", "sent"),
    [
        *((phone, phone) for phone in ("+1 (207) 555-0101", "555.0120", "0211/5550-204", "555 0119 ext. 4", "*99#")),
        ("٠١٢٣", "0123"),
        ("\u06f0\u06f2\u06f1-\u06f5\u06f5\u06f5", "021-555"),
        ("\uff10\uff13-\uff11\uff12\uff13\uff14", "03-1234"),
        ("+49\u00a0555", "+49 555"),
    ],
)
def test_phones_are_taken_as_people_write_them(phone, sent):
    """Only what cannot be a number is refused. Digits of other scripts are sent as 0 to 9."""
    (row,) = outcomes(f"name,address,phone\na,b,{phone}\n")

    assert isinstance(row, Row)
    assert row.phone == sent


def test_what_stands_in_a_result_column_does_not_matter():
    """It is ours, and dropped."""
    (row,) = outcomes("name,address,result_error\na,b,\x01\n")

    assert isinstance(row, Row)
    assert row.cells == ["a", "b"]


def test_a_field_of_full_length_is_taken():
    """A thousand characters, of any kind."""
    (row,) = outcomes(f"name,address\n{'🏥' * MAX_FIELD_CHARS},b\n")

    assert isinstance(row, Row)


def test_rows_that_are_written_differently_can_be_duplicates():
    """Case, spaces and phone punctuation fold away."""
    (one, other) = outcomes("name,address,phone\nSt. Mary,1 Main St,555-0101\nST.  MARY,1 main st,(555) 0101\n")

    assert isinstance(one, Row)
    assert isinstance(other, Row)
    assert matching_key(one.name, one.address, one.phone) == matching_key(other.name, other.address, other.phone)
