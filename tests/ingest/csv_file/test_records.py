"""Records: numbered as a spreadsheet numbers them, and bounded."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.records import MAX_RECORD_CHARS, RecordFormat, Unreadable, records
from tests.support.ingest.written_csv import CELLS, DIALECTS, csv_bytes


def read(text: str, delimiter: str = ",") -> list[tuple[int, list[str] | Unreadable]]:
    """All records of a text, its line ends as they are."""
    return list(records(io.StringIO(text, newline=""), RecordFormat(delimiter)))


@given(st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=12), DIALECTS)
def test_any_table_in_any_dialect_is_read_back_the_same(table, dialect):
    """What a program writes is what we read, whatever it puts between and around the fields."""
    content = csv_bytes(table, **dialect).decode()

    found = read(content, dialect["delimiter"])

    expected = [(row, cells) for row, cells in enumerate(table, start=1) if any(cell.strip() for cell in cells)]
    assert found == expected


@given(st.lists(st.sampled_from(["", "a,b", " , ", '"x\ny",z']), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_blank_lines_are_counted_but_not_returned(lines, end):
    """The row number is what the spreadsheet shows, blank rows and quoted line breaks included."""
    found = [row for row, _ in read(end.join(lines) + end)]

    assert found == [row for row, line in enumerate(lines, start=1) if line.strip(" ,")]


def test_a_quoted_field_with_line_breaks_is_one_row():
    """Excel's Alt+Enter does not move the rows below."""
    assert read('name\n"a\r\nb\nc"\nd\n') == [(1, ["name"]), (2, ["a\r\nb\nc"]), (3, ["d"])]


def test_a_quote_that_is_never_closed_is_named_with_its_line():
    """The line on which the record began, not the end of the file."""
    (row, problem) = read('name\n\n"a\nb\nc\n')[-1]

    assert row == 3
    assert isinstance(problem, Unreadable)
    assert "begins on line 3" in problem.message
    assert "never closed" in problem.message


def test_a_quote_closed_by_the_next_record_is_named_with_both_lines():
    """A missing quote usually ends where the next quoted field begins."""
    (row, problem) = read('name,x\n"a,1\n"b",2\nc,3\n')[1]

    assert row == 2
    assert isinstance(problem, Unreadable)
    assert "line 2 ends on line 3" in problem.message


def test_text_after_a_closing_quote_is_an_error_of_that_row_only():
    """The rows around it are read."""
    found = read('a\n"b"c\nd\n')

    assert [row for row, cells in found if isinstance(cells, Unreadable)] == [2]
    assert found[2] == (3, ["d"])


def test_a_quote_inside_a_field_is_just_a_sign():
    """12" pipes need no care."""
    assert read('12" pipe,x\n') == [(1, ['12" pipe', "x"])]


@pytest.mark.parametrize("begin", ["", '"'])
def test_a_record_without_end_stops_the_reading_early(begin):
    """A file of 100 MB in one line is not taken into memory."""
    text = CountedText("a\n" + begin + "x" * (3 * MAX_RECORD_CHARS))

    found = list(records(text, RecordFormat()))

    assert isinstance(found[-1][1], Unreadable)
    assert "line 2" in found[-1][1].message
    assert text.given <= MAX_RECORD_CHARS + 10


def test_a_multi_line_record_without_end_stops_the_reading_early():
    """An open quote swallows line after line, but not for ever."""
    text = CountedText('a\n"' + "some line of text\n" * MAX_RECORD_CHARS)

    found = list(records(text, RecordFormat()))

    assert isinstance(found[-1][1], Unreadable)
    assert text.given <= MAX_RECORD_CHARS + 10


def test_records_of_full_length_may_follow_one_another():
    """The limit is one record's, not the file's."""
    cell = "x" * (MAX_RECORD_CHARS - 1)

    assert [row for row, cells in read(f"{cell}\n{cell}\n{cell}\n") if isinstance(cells, list)] == [1, 2, 3]


def test_python_s_own_field_limit_is_never_met_first():
    """Else its error would come without our words."""
    assert csv.field_size_limit() > MAX_RECORD_CHARS


class CountedText(io.StringIO):
    """A text that knows how much of it was read."""

    given = 0

    def readline(self, size: int = -1, /) -> str:
        """As ever, but counted."""
        line = super().readline(size)
        self.given += len(line)
        return line
