"""The CSV of result files: the input as it was, then what became of it, safe to open and to upload again."""

import csv
import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.header import find_header
from services.ingest.csv_file.rows import RowReader
from services.status.result_files.result_cells import ResultCells, guarded
from services.status.result_files.result_csv import ResultCsv
from shared.contract.result_columns import RESULT_COLUMNS
from tests.support.status.stored_rows import stored


def written(columns, rows, delimiter=",", activated=()):
    """The text of a file."""
    made = ResultCsv(ResultCells("job-1", columns, activated), delimiter)
    return (made.header() + made.rows(rows)).decode()


def test_the_columns_of_the_input_come_first_and_ours_after_them():
    """In the order of the input."""
    text = written(["Beds", "name", "address"], [stored(["1", "A", "B"])])
    assert text == (
        "Beds,name,address," + ",".join(RESULT_COLUMNS) + "\r\n"
        "1,A,B,2,failed,,b-1,job-1,3,rejected,The directory refused it\r\n"
    )


def test_cells_of_version_0_1_0_are_found_by_the_names_of_their_columns():
    """Whatever their order in the row."""
    [_, cells] = csv.reader(StringIO(written(["Beds", "name", "ward"], [stored({"name": "A", "Beds": "1"})])))
    assert cells[:3] == ["1", "A", ""]


def test_each_cell_stands_in_the_column_of_its_place():
    """Also when columns are called alike, cells are empty, or there are more of them than anybody knows columns for."""
    rows = [stored(["1", "", "2"]), stored(["", "A"]), stored(["1", "2", "3", "4"])]
    [_, *lines] = csv.reader(StringIO(written(["note", "name", "note"], rows)))
    assert [cells[:4] for cells in lines] == [["1", "", "2", "2"], ["", "A", "", "2"], ["1", "2", "3", "2"]]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"hospital_id": "17", "status": "created"}, ("created", "17")),
        ({"hospital_id": '"h-17"', "status": "created", "batch_id": "b-2"}, ("created_and_activated", "h-17")),
        ({"status": "unprocessed"}, ("unprocessed", "")),
    ],
)
def test_what_became_of_a_row_is_said_as_the_rows_page_says_it(row, shown):
    """Numbers and texts of the directory as they are; a batch that is active says so."""
    [_, cells] = csv.reader(StringIO(written(["name"], [stored(["A"], **row)], activated={"b-2"})))
    assert tuple(cells[2:4]) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_our_cells_are_never_formulas_and_the_users_are_left_alone(start):
    """The directory's words and ids may hold anything; so may the user's cells, and those are theirs."""
    evil = f'{start}HYPERLINK("http://evil")'
    row = stored([evil], hospital_id=json.dumps(evil), error=evil, batch_id=evil, status="created")
    [_, cells] = csv.reader(StringIO(written(["name"], [row]), newline=""))
    assert cells[0] == evil
    assert [cell for cell in cells[1:] if cell.endswith('evil")')] == [f"'{evil}"] * 3


def test_what_cannot_begin_a_formula_is_not_touched():
    """An apostrophe in front of everything would be a nuisance."""
    assert [guarded(cell) for cell in ("", "a=1", "12", "b-1")] == ["", "a=1", "12", "b-1"]


def test_an_endless_message_is_cut():
    """One row's error does not make its line longer than ingest reads."""
    [_, cells] = csv.reader(StringIO(written(["name"], [stored(["A"], error="x" * 100_000)])))
    assert len(cells[-1]) == 1_000


@pytest.mark.parametrize("unknown", [{}, []])
def test_a_row_without_cells_has_empty_ones(unknown):
    """Its event could not be read, so nobody knows them."""
    [_, cells] = csv.reader(StringIO(written(["name", "address"], [stored(unknown)])))
    assert cells[:3] == ["", "", "2"]


#: Without format characters (Cf): nobody sees them, and ingest drops them.
_CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cf"]) | st.sampled_from('\t\r\n",;='), max_size=12)
_NAMES = st.lists(
    st.text(st.sampled_from('bed s",;=\n'), min_size=1).filter(str.strip), unique_by=str.strip, max_size=3
)


@given(
    st.sampled_from(",;\t"),
    _NAMES,
    st.lists(st.tuples(_CELLS, _CELLS, st.lists(_CELLS, min_size=3, max_size=3)), min_size=1, max_size=5),
    st.text(max_size=20),
)
def test_a_result_file_uploaded_again_is_the_same_input(delimiter, names, cells, error):
    """Ingest reads from it what was uploaded, cell by cell, and none of our columns."""
    columns = ["name", "address", *names]
    width = len(columns)
    inputs = [[f"H{name}", f"S{address}", *more][:width] for name, address, more in cells]
    rows = [stored(each, row=number, error=error) for number, each in enumerate(inputs, 2)]
    text = StringIO(written(columns, rows, delimiter), newline="")
    header = find_header(text)
    assert (header.columns, header.delimiter) == (tuple(columns), delimiter)
    found = [row.cells for row in RowReader(header).read_again(text)]
    assert [each + [""] * (width - len(each)) for each in found] == inputs
