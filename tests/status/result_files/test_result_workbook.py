"""The workbook of result files: made as it is sent, every cell a text, and uploaded again the same input."""

import tracemalloc
from io import BytesIO
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from services.ingest.csv_file.validation import FileAccepted, Rules
from services.status.result_files.result_cells import ResultCells
from services.status.result_files.result_workbook import ResultWorkbook, fits
from shared.contract.result_columns import RESULT_COLUMNS
from shared.runtime.http.problems import Problem
from tests.support.ingest.written_csv import read, written
from tests.support.status.stored_rows import stored

COLUMNS = ["name", "address", "phone"]
SHEET = "xl/worksheets/sheet1.xml"


def workbook(rows, columns=COLUMNS, **limits):
    """The bytes of a file."""
    made = ResultWorkbook(ResultCells("job-1", columns, ()), len(rows), **limits)
    return made.header() + made.rows(rows) + made.end()


def cells(content):
    """What a reader of workbooks finds."""
    return CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()


def test_our_columns_follow_those_of_the_input():
    """As in the CSV; the row and the attempts are numbers."""
    header, row = cells(workbook([stored(["Mercy", "2 Main Street", "0049 211"])]))
    assert header == [*COLUMNS, *RESULT_COLUMNS]
    assert row[:5] == ["Mercy", "2 Main Street", "0049 211", 2.0, "failed"]
    assert row[5:] == ["", "b-1", "job-1", 3.0, "rejected", "The directory refused it"]


@pytest.mark.parametrize("cell", ["0049211", "1e9", "=1+1", "TRUE", "2026-03-02", " padded ", "a\nb", "_x0041_", "<&>"])
def test_a_cell_is_the_text_that_was_uploaded(cell):
    """No number, no date, no formula, no markup."""
    [_, row] = cells(workbook([stored([cell])]))
    assert row[0] == cell


def test_columns_and_cells_are_formatted_as_text():
    """What somebody types while correcting keeps its zeros too."""
    sheet = ElementTree.fromstring(ZipFile(BytesIO(workbook([stored(["Mercy", "", "0049"])]))).read(SHEET))
    name = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    [column] = sheet.iter(f"{name}col")
    _, row = sheet.iter(f"{name}row")
    assert (column.get("min"), column.get("max"), column.get("style")) == ("1", str(3 + len(RESULT_COLUMNS)), "1")
    assert [cell.get("style") or cell.get("s") for cell in row][:3] == ["1", "1", "1"]
    assert not list(sheet.iter(f"{name}f"))


@pytest.mark.parametrize("sign", ["x", "\U0001f3e5"])
def test_a_cell_longer_than_excel_opens_is_cut(sign):
    """Excel would call the whole workbook damaged."""
    [_, row] = cells(workbook([stored([sign * 40_000])]))
    assert row[0] == sign * (32_767 // (len(sign.encode("utf-16-le")) // 2))


@pytest.mark.parametrize(
    ("rows", "columns", "fitting"),
    [(1_000_000, 12, True), (1_048_576, 12, False), (10, 16_385, False), (1_000_000, 31, False)],
)
def test_what_excel_opens_fits(rows, columns, fitting):
    """Rows, columns, and cells in all."""
    assert fits(rows, columns) is fitting


@pytest.mark.parametrize(("length", "fitting"), [(10, True), (1_500, False)])
def test_rows_that_are_too_long_do_not_fit(length, fitting):
    """A million of them: 2 GiB is all that a sheet may have. Their errors are cut, and decide nothing."""
    sample = [stored(["Mercy", "x" * length, ""], error="e" * 1_000)] * 20
    assert fits(1_000_000, 3 + len(RESULT_COLUMNS), sample) is fitting


@pytest.mark.parametrize("sign", ["e", "<", "\x01", "\u00e4", "\U0001f3e5"])
def test_long_errors_are_cut_so_that_every_row_fits(sign):
    """A million rows with errors of a thousand characters were a download that broke off at its end."""
    rows = [stored(["Mercy", "2 Main Street", ""], row=row, error=sign * 1_000) for row in range(2, 502)]
    content = workbook(rows, max_bytes=700_000)
    assert ZipFile(BytesIO(content)).getinfo(SHEET).file_size <= 700_000
    _, *found = cells(content)
    assert [row[3] for row in found] == list(range(2, 502))
    assert all(sign * 100 in row[-1] for row in found)


def test_short_errors_leave_their_room_to_long_ones():
    """Nothing is cut that need not be."""
    rows = [stored(["Mercy"], row=row, error="e" * (1_000 if row > 400 else 10)) for row in range(2, 502)]
    _, *found = cells(workbook(rows, max_bytes=700_000))
    assert [len(row[-1]) for row in found[400:]] == [1_000] * 100


def test_more_than_a_sheet_may_have_ends_the_file_with_a_problem():
    """And its archive can be closed all the same."""
    made = ResultWorkbook(ResultCells("job-1", COLUMNS, ()), 20, max_bytes=20_000)
    made.header()
    with pytest.raises(Problem) as refused:
        made.rows([stored(["x" * 5_000])] * 20)
    made.close()
    assert refused.value.error_type == "workbook_too_large"


def test_a_page_of_rows_leaves_nothing_behind():
    """However many come: each is handed out when it is written."""
    made = ResultWorkbook(ResultCells("job-1", COLUMNS, ()), 20_000)
    page = [stored([f"Hospital {row}", "1 Long Street", "0211"], row=row) for row in range(2, 1_002)]
    made.header()
    made.rows(page)
    tracemalloc.start()
    try:
        sizes = [len(made.rows(page)) for _ in range(20)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    made.end()
    assert any(sizes)
    assert kept < 200_000


#: As for CSV files, and without what is trimmed: spaces at the ends.
_CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cf", "Cn", "Co"]), max_size=12).map(
    lambda text: text.strip()
)


@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=5))
def test_what_a_reader_finds_is_what_was_uploaded(inputs):
    """Whatever letters there are."""
    rows = [
        stored([f"H{name}", f"S{address}", note], row=number) for number, (name, address, note) in enumerate(inputs)
    ]
    _, *found = cells(workbook(rows))
    assert [row[:3] for row in found] == [[f"H{name}", f"S{address}", note] for name, address, note in inputs]


def test_a_corrected_workbook_uploads_as_it_is(tmp_path):
    """Our columns are left out; the phone has its zeros."""
    rows = [stored(["Mercy", "2 Main Street", "0049211555", "12"]), stored(["St. Mary", "1 Main Street"], row=9)]
    content = workbook(rows, [*COLUMNS, "Beds"])
    result = read(written(tmp_path, content), Rules(max_rows=10))
    assert isinstance(result, FileAccepted), result
    assert result.header.columns == (*COLUMNS, "Beds")
    assert [(row.name, row.address, row.phone) for row in result.reading.sample] == [
        ("Mercy", "2 Main Street", "0049211555"),
        ("St. Mary", "1 Main Street", None),
    ]
