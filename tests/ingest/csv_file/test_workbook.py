"""Workbooks: read as they are, in a process of their own that cannot harm the service."""

import asyncio
import io
import os
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import psutil
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.csv_file import workbook
from services.ingest.csv_file.file_kind import NotCsv
from services.ingest.csv_file.validation import (
    FileAccepted,
    FileRejected,
    Rules,
    TooManyRows,
    UnpacksToTooMuch,
    read_sheet,
)
from services.ingest.csv_file.workbook import WorkbookTooLarge, sheet_as_text
from tests.support.ingest.workbooks import bomb, damaged_workbook, ods, with_cell, with_empty_rows, xlsx
from tests.support.ingest.written_csv import read, written

RULES = Rules(max_rows=10_000)
READER = Path(workbook.__file__).with_name("sheet_reader.py")
GOOD = xlsx({"List": [["name", "address", "phone"], ["St. Mary", "1 Main Street", "555-0101"]]})
#: What XML can hold, and no sign that is invisible.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Cn", "Co")), max_size=20)


def accepted(directory: Path, content: bytes, rules: Rules = RULES) -> FileAccepted:
    """How a good workbook was read."""
    result = read(written(directory, content), rules)
    assert isinstance(result, FileAccepted), result
    return result


def test_rows_have_the_numbers_that_the_spreadsheet_shows(tmp_path):
    """With blank rows and columns above, between and beside the list."""
    rows = [[], ["", "Our hospitals"], [], ["", "Name", "", "Address"], [], ["", "Mercy", "", "2 Main\nStreet"]]
    found = accepted(tmp_path, xlsx({"List": rows})).reading
    assert (found.header.row, found.header.cells) == (4, ["", "Name", "", "Address"])
    assert [(row.row, row.name, row.address) for row in found.sample] == [(6, "Mercy", "2 Main\nStreet")]


def test_cells_are_what_the_spreadsheet_shows(tmp_path):
    """Numbers without `.0`, days without a time, no formula run."""
    cells = ["Mercy", 12, 4_915_112_345_678, 1.5, True, date(2026, 3, 2), datetime(2026, 3, 2, 9, 30)]  # noqa: DTZ001 - as in a cell
    header = ["name", "address", "phone", "a", "b", "c", "d"]
    book = xlsx({"List": [header, cells]}, default_date_format="yyyy-mm-dd")
    (row,) = accepted(tmp_path, book).reading.sample
    assert row.cells == ["Mercy", "12", "4915112345678", "1.5", "TRUE", "2026-03-02", "2026-03-02 09:30:00"]


def test_an_error_in_a_cell_is_no_empty_cell(tmp_path):
    """Else a phone that a look-up did not find would be lost without a word. On whichever sheet, between any rows."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.add_worksheet("A & B").write_row(0, 0, ["x"])
        sheet = book.add_worksheet("List <1>")
        sheet.write_row(1, 1, ["name", "address", "phone"])
        for row in range(2, 30_000):
            sheet.write_row(row, 1, [f"Mercy {row}", "2 Main Street", "555-0102"])
        for row, error in {4: "#N/A", 29_999: "#DIV/0!"}.items():
            sheet.write_formula(row, 3, "=" + "1+" * 3_000 + "1", None, error)
            sheet.write_row(row, 1, [f"Hope {row}", "3 Main Street"])
    result = read(written(tmp_path, file.getvalue()), Rules(100_000, sheet="List <1>"))
    assert isinstance(result, FileRejected)
    assert [(error.row, error.code, error.value) for error in result.errors] == [
        (5, "invalid_phone", "#N/A"),
        (30_000, "invalid_phone", "#DIV/0!"),
    ]


def test_the_workbooks_of_libreoffice_are_read(tmp_path):
    """With their row numbers too."""
    book = ods([["Unsere Kliniken"], [], ["Klinik", "Anschrift", "Telefon"], ["Süd", "Ringstraße 8", "0211 555"]])
    (row,) = accepted(tmp_path, book).reading.sample
    assert row[:4] == (4, "Süd", "Ringstraße 8", "0211 555")


def test_the_first_visible_sheet_is_read_unless_another_is_named(tmp_path):
    """And all that can be chosen are told."""
    book = xlsx({"Notes & more": [["x"]], "List": [["name", "address"], ["a", "b"]]})
    first = read(written(tmp_path, book), RULES)
    assert isinstance(first, FileRejected)
    assert first.reading.sheet.names == ("Notes & more", "List")
    assert accepted(tmp_path, book, Rules(10, sheet="List")).reading.sheet.name == "List"
    unknown = read(written(tmp_path, book), Rules(10, sheet="Nothing"))
    assert isinstance(unknown, FileRejected)
    assert unknown.errors[0].code == "unknown_sheet"
    assert "'Notes & more', 'List'" in unknown.errors[0].message


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6), st.permutations(range(3)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_xlsxwriter_wrote_is_what_is_read(tmp_path, rows, order):
    """Or the file is refused: whatever stands in the cells, in whichever order the columns are."""
    header = [("Hospital Name", "Anschrift", "note")[place] for place in order]
    book = xlsx({"List": [header, *([row[place] for place in order] for row in rows)]})
    result = read(written(tmp_path, book), Rules(100, allow_duplicates=True))
    if isinstance(result, FileAccepted):
        sent = [(name.strip(), address.strip()) for name, address, note in rows if (name + address + note).strip()]
        assert [(row.name, row.address) for row in result.reading.sample] == sent[:5]
        assert result.total == len(sent)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (with_cell(GOOD, "XFD1048576"), UnpacksToTooMuch),
        (bomb(GOOD, 100), FileAccepted),
        (with_empty_rows(GOOD, 100_000), FileAccepted),
        (with_cell(GOOD, "A1048576"), FileAccepted | FileRejected),
        (with_cell(GOOD, "XFD3"), FileRejected),
        (xlsx({"List": [["name", "address"], *([f"a{row}", "b"] for row in range(200))]}), TooManyRows),
        (xlsx({"List": [[f"c{number}" for number in range(16_384)]]}), FileRejected),
        (xlsx({"List": []}), FileRejected),
    ],
    ids=["corner", "spaces", "empty rows", "last row", "last column", "many rows", "columns", "nothing"],
)
def test_what_is_too_much_costs_little(tmp_path, content, kind):
    """And is told; the service itself holds nothing of it."""
    before, began = psutil.Process(os.getpid()).memory_info().rss, time.monotonic()
    assert isinstance(read(written(tmp_path, content), Rules(100)), kind)
    assert time.monotonic() - began < 30
    assert psutil.Process(os.getpid()).memory_info().rss - before < 50_000_000


def test_a_workbook_that_says_it_unpacks_to_too_much_is_not_opened(tmp_path):
    """By the archive's own list of sizes."""
    content = bytearray(GOOD)
    place = content.rfind(b"PK\x01\x02")
    content[place + 24 : place + 28] = (3 << 30).to_bytes(4, "little")
    assert isinstance(read(written(tmp_path, bytes(content)), RULES), UnpacksToTooMuch)


@pytest.mark.parametrize("first", range(0, 60, 20))
async def test_nasty_workbooks_are_read_or_refused(tmp_path, first):
    """Sixty of them; nothing but our own refusals comes out."""

    for number in range(first, first + 20):
        await read_sheet(written(tmp_path, damaged_workbook(GOOD, number)), RULES)


async def test_a_process_that_takes_too_long_is_ended(tmp_path):
    """And is told as a workbook that is too much."""
    with pytest.raises(WorkbookTooLarge):
        await sheet_as_text(written(tmp_path, GOOD), None, 10, seconds=0)
    assert not readers()


async def test_the_process_ends_with_the_request(tmp_path):
    """When the service ends in the middle of it."""
    task = asyncio.create_task(sheet_as_text(written(tmp_path, bomb(GOOD, 400)), None, 10))
    async with asyncio.timeout(20):
        while not readers():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not readers()


async def test_the_service_may_have_been_started_anywhere(tmp_path, monkeypatch):
    """Nothing of ours is imported by the process."""
    monkeypatch.chdir(tmp_path)
    sheet = await sheet_as_text(written(tmp_path, GOOD), None, 10)
    assert sheet.path.read_text().startswith("name,address,phone\n")


@pytest.mark.parametrize("content", [b"PK\x03\x04" + b"\0" * 99, b"\xd0\xcf\x11\xe0" + b"\0" * 99, GOOD[:200]])
async def test_what_is_no_workbook_is_refused(tmp_path, content):
    """By its first bytes it could have been one."""
    with pytest.raises(NotCsv, match="neither a CSV nor a workbook"):
        await sheet_as_text(written(tmp_path, content), None, 10)


def readers() -> list[psutil.Process]:
    """The processes of this one that read workbooks."""
    return [
        process
        for process in psutil.Process(os.getpid()).children()
        if process.status() != psutil.STATUS_ZOMBIE and any("sheet_reader" in part for part in process.cmdline())
    ]


def test_the_process_ends_with_a_service_that_was_killed(tmp_path):
    """It reads its standard input, which closes then."""
    path = written(tmp_path, bomb(GOOD, 400))
    arguments = [sys.executable, "-P", str(READER), str(path), str(tmp_path / "out.csv"), "10", "null"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.close()
        assert process.wait(timeout=20) == 1
        assert process.stdout.read() == b""
