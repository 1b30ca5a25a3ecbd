"""The header: any order, any case, three delimiters, and advice where it is wrong."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.header import MAX_COLUMNS, Header, HeaderRejected, find_header


def header_of(text: str) -> Header:
    """The header of a text that has a good one."""
    found = find_header(io.StringIO(text, newline=""))
    assert isinstance(found, Header)
    return found


def errors_of(text: str) -> list[str]:
    """What is wrong with the header of a text."""
    found = find_header(io.StringIO(text, newline=""))
    assert isinstance(found, HeaderRejected)
    return [error.message for error in found.errors]


@given(st.permutations(["name", "address", "phone", "beds"]), st.sampled_from([",", ";", "\t"]))
def test_columns_come_in_any_order_with_any_delimiter(columns, delimiter):
    """The delimiter is found, not asked for."""
    found = header_of(delimiter.join(columns) + "\n")

    assert (found.delimiter, found.columns) == (delimiter, tuple(columns))
    assert found.name == columns.index("name")
    assert found.address == columns.index("address")
    assert found.phone == columns.index("phone")


def test_case_and_spaces_do_not_matter_but_are_kept():
    """Result files show the header as it was written."""
    found = header_of(" NAME ;Address\n")

    assert found.columns == (" NAME ", "Address")
    assert found.phone is None


def test_a_comma_inside_a_quoted_name_does_not_win():
    """The delimiter that finds the required columns is the one."""
    assert header_of('name;address;"beds, total, of all kinds, in use"\n').delimiter == ";"


def test_blank_lines_above_the_header_are_counted():
    """The first data row keeps the number that the spreadsheet shows."""
    assert header_of("\n,,\nname,address\n").row == 3


def test_result_columns_are_left_out():
    """A failed.csv can be corrected and uploaded as it is."""
    found = header_of("name,result_status,address,Result_Error\n")

    assert found.columns == ("name", "address")
    assert found.indices == (0, 2)


def test_columns_without_a_name_are_remembered():
    """Their cells have to be empty, which only the rows can tell."""
    assert header_of("name,,address, \n").unnamed == (1, 3)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Hospital Name,address\n", "Did you mean `name` where the header says 'Hospital Name'?"),
        ("name,Adress\n", "Did you mean `address` where the header says 'Adress'?"),
        ("a,b\n", "The header has: 'a', 'b'."),
    ],
)
def test_a_missing_column_comes_with_advice(text, advice):
    """Common other names are recognised."""
    assert advice in errors_of(text)[0]


def test_every_missing_column_is_listed():
    """Not one upload for each."""
    assert len(errors_of("a,b\n")) == 2


def test_two_columns_of_one_name_are_an_error():
    """Nobody could tell which one counts."""
    assert "2 columns called 'name'" in errors_of("name,address,NAME\n")[0]


@pytest.mark.parametrize("text", ["", "\n", "\r\n\r\n", " \n,,,\n"])
def test_an_empty_file_is_called_empty(text):
    """Blank lines do not fill it."""
    assert errors_of(text) == ["The file is empty."]


def test_a_header_that_is_never_closed_is_named():
    """An open quote in the first line."""
    assert "never closed" in errors_of('"name,address\n')[0]


def test_too_many_columns_are_refused():
    """A million columns are an attack, or an accident."""
    text = "name,address" + ",x" * MAX_COLUMNS + "\n"

    assert f"{MAX_COLUMNS + 2:,} columns" in errors_of(text)[0]
