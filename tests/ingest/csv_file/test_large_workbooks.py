"""A large .xlsx is read as a small one is: by another reader, in little memory."""

import io
import zipfile
from datetime import date, datetime, time, timedelta

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.csv_file.large_workbooks.sheet_rows import UNREADABLE, LargeWorkbook, is_large
from services.ingest.csv_file.sheet_reader import write_large_sheet, write_sheet
from services.ingest.csv_file.validation import Rules, UnpacksToTooMuch
from tests.support.ingest import nasty_workbooks
from tests.support.ingest.workbooks import bomb, damaged_workbook, with_parts, xlsx
from tests.support.ingest.written_csv import read, written

SIGNS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"))
#: XlsxWriter writes texts such as `_x000D_` as they are, and `_x005F_` in front of its own.
ESCAPES = st.sampled_from(
    ["_x000D_", "_x0041_", "_x00e9_", "_x005F_", "_xD83D_", "_x004", "x0041_", "_X0041_", "_", "\r"]
)
TEXTS = st.lists(st.one_of(SIGNS, SIGNS, ESCAPES), max_size=12).map("".join)
DAYS = st.datetimes(datetime(1900, 3, 1), datetime(2100, 1, 1)).map(lambda it: it.replace(microsecond=0))  # noqa: DTZ001
NUMBERS = st.one_of(st.integers(-(10**14), 10**14), st.floats(-1e12, 1e12, allow_nan=False), st.booleans())
CELLS = st.one_of(TEXTS, NUMBERS, DAYS, st.just(None))
ROWS = st.lists(st.lists(CELLS, max_size=5), max_size=6)


def both(directory, book, wanted=None):
    """What either reader says, and writes."""
    path = written(directory, book)
    small = write_sheet(path, directory / "small.csv", 100, wanted)
    large = write_large_sheet(path, directory / "large.csv", 100, wanted)
    files = [directory / f"{name}.csv" for name in ("small", "large")]
    return [
        (said, file.read_text("utf-8") if file.exists() else "")
        for said, file in zip((small, large), files, strict=True)
    ]


@given(ROWS, st.booleans(), st.integers(0, 2), st.integers(0, 2))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_readers_write_the_same(tmp_path, rows, starts_1904, above, left):
    """Texts, numbers, truths, days and blanks, wherever they stand."""
    file = io.BytesIO()
    options = {"in_memory": True, "date_1904": starts_1904, "default_date_format": "dd/mm/yy hh:mm"}
    with xlsxwriter.Workbook(file, {**options, "strings_to_urls": False, "nan_inf_to_errors": True}) as book:
        sheet = book.add_worksheet("List")
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(above + number, left + column, cell)
                elif isinstance(cell, datetime) and starts_1904 and cell.year < 1905:
                    continue
                else:
                    sheet.write(above + number, left + column, cell)
    small, large = both(tmp_path, file.getvalue())
    assert small == large


@pytest.mark.parametrize(
    "kind", ["h:mm", "[h]:mm:ss", "yyyy\\-mm\\-dd", '"day "0', "0.00", "[$-409]d\\ mmm", "@", "[Red]0", 14, 20, 46, 49]
)
def test_formats_are_understood_alike(tmp_path, kind):
    """Whether a number is a day, a time, a duration or a number."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        format_ = book.add_format({"num_format": kind})
        for row, value in enumerate(
            [0.5, 1, 59, 61.25, 44_927.75, 1.5, date(2026, 3, 2), time(9, 30), timedelta(hours=30)]
        ):
            sheet.write(row, 0, value, format_)
    small, large = both(tmp_path, file.getvalue())
    assert small == large


@pytest.mark.parametrize(
    "book",
    [book for book in nasty_workbooks.ALL if book.content.startswith(b"PK\x03\x04")][:70],
    ids=lambda book: book.what,
)
def test_nasty_ones_are_read_or_refused(tmp_path, book):
    """By this reader too; nothing else is raised."""
    if book.is_slow or "ods" in book.what or "last" in book.what:
        return
    answer = write_large_sheet(written(tmp_path, book.content), tmp_path / "out.csv", 100, None)
    assert set(answer) in ({"name", "names"}, {"code", "message"}, {"not_a_workbook"})


def test_damaged_ones_are_read_or_refused(tmp_path):
    """A hundred of them."""
    for number in range(100):
        book = damaged_workbook(nasty_workbooks.GOOD, number)
        write_large_sheet(written(tmp_path, book), tmp_path / "out.csv", 100, None)


NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def with_rows(rows):
    """A workbook whose sheet has these rows, as XML, and the texts name and address."""
    sheet = f"<worksheet {NAMESPACE}><sheetData>{rows}</sheetData></worksheet>"
    return with_parts(xlsx({"List": [["name", "address"]]}), {"xl/worksheets/sheet1.xml": sheet})


@pytest.mark.parametrize(
    "rows",
    [
        "<row r='1'><c r='C1'><v>3</v></c><c><v>4</v></c><c r='A1' t='s'><v>0</v></c><c><v>5</v></c></row>",
        "<row r='2'><c r='A2'><v>1</v></c><c r='A2'><v>2</v></c></row>",
        "<row><c r='A5'><v>3</v></c></row><row><c r='B6'><v>4</v></c></row>",
        "<row r='1'><c r='A1'><v>abc</v></c><c r='B1'><v>1_000</v></c><c r='C1'><v>0x10</v></c></row>",
        "<row r='1'><c r='A1'><v>1,5</v></c><c r='B1'><v>\uff11</v></c><c r='C1'><v>1e400</v></c></row>",
        "<row r='1'><c r='A1' t='b'><v>TRUE</v></c><c r='B1' t='b'><v>false</v></c><c r='C1' t='b'><v/></c></row>",
        "<row r='1'><c r='A1' t='d'><v>2026-03-02T10:00:00.5</v></c></row>",
        "<row r='1'><c r='A1' t='d'><v>2026-03-02T00:00:00</v></c></row>",
        "<row r='1'><c r='A1' t='d'><v>2026-13-02T10:00:00</v></c><c r='B1' t='d'><v>2026-03-02</v></c></row>",
    ],
)
def test_cells_are_taken_as_programs_write_them(tmp_path, rows):
    """In any order within a row, with a number or not, and a text where a number should be."""
    small, large = both(tmp_path, with_rows(rows))
    assert small == large
    assert small[0] == {"name": "List", "names": ["List"]}


@pytest.mark.parametrize(
    "rows",
    [
        "<row r='3'><c r='A3'><v>3</v></c></row><row r='1'><c r='A1'><v>1</v></c></row>",
        "<row r='2'><c r='A2'><v>3</v></c></row><row r='2'><c r='B2'><v>1</v></c></row>",
        "<row r='2'><c r='A5'><v>3</v></c></row>",
        "<row><c><v>3</v></c><c r='B5'><v>3</v></c></row>",
        "<row r='0'><c><v>3</v></c></row>",
        "<row r='1048577'><c><v>3</v></c></row>",
    ],
)
def test_rows_in_no_order_are_refused(tmp_path, rows):
    """No hospital gets the number of another row: those above are written already."""
    path = written(tmp_path, with_rows(rows))
    assert set(write_large_sheet(path, tmp_path / "out.csv", 100, None)) == {"not_a_workbook"}


def renamed(book, names):
    """The workbook with its parts called otherwise."""
    with zipfile.ZipFile(io.BytesIO(book)) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    return with_parts(book, dict.fromkeys(parts) | {names(name): content for name, content in parts.items()})


def strict(book):
    """The workbook as Excel's "Strict Open XML": the same tags and relations in other namespaces."""
    old, new = b"http://schemas.openxmlformats.org/", b"http://purl.oclc.org/ooxml/"
    with zipfile.ZipFile(io.BytesIO(book)) as packed:
        parts = {name: packed.read(name) for name in packed.namelist() if name.startswith("xl/")}
    for name, content in parts.items():
        content = content.replace(old + b"officeDocument/2006/relationships", new + b"officeDocument/relationships")
        parts[name] = content.replace(old + b"spreadsheetml/2006/main", new + b"spreadsheetml/main")
    return with_parts(book, parts)


@pytest.mark.parametrize(
    "other",
    [
        strict,
        lambda book: renamed(book, lambda name: name.replace("shared", "Shared").replace("styles", "Styles")),
        lambda book: renamed(book, lambda name: name.replace("sheet1", "Sheet1")),
        lambda book: renamed(book, lambda name: name.upper() if name.startswith("xl/") else name),
        lambda book: renamed(book, lambda name: name.replace("/", "\\") if "worksheets/" in name else name),
    ],
    ids=["strict", "texts", "sheet", "capitals", "backslashes"],
)
def test_parts_are_found_as_programs_name_them(tmp_path, other):
    """With days, and with an error in a cell, which the reader of small ones looks up by itself."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet("List")
        sheet.write_row(0, 0, ["name", "since", "phone"])
        sheet.write_row(1, 0, ["Mercy", date(2026, 3, 2)])
        sheet.write_formula(1, 2, "=NA()", None, "#N/A")
    small, large = both(tmp_path, other(file.getvalue()))
    assert small == large == ({"name": "List", "names": ["List"]}, "name,since,phone\nMercy,2026-03-02,#N/A\n")
    assert is_large(tmp_path / "upload.csv", 500)


def test_errors_rich_texts_and_readings_are_as_the_spreadsheet_shows_them(tmp_path):
    """An error by its name; a text in several pieces whole; how a word is pronounced left out."""
    texts = (
        "<si><r><t>St. </t></r><r><t>Mary</t></r></si><si><t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh></si>"
    )
    sheet = (
        "<row r='2'><c r='B2' t='s'><v>0</v></c><c r='C2' t='s'><v>1</v></c><c r='D2' t='e'><v>#N/A</v></c></row>"
        "<row><c t='str'><f>A1</f><v>a</v></c><c t='inlineStr'><is><t>b &amp; c</t></is></c><c t='b'><v>0</v></c></row>"
    )
    book = with_parts(
        nasty_workbooks.GOOD,
        {
            "xl/sharedStrings.xml": f"<sst {NAMESPACE}>{texts}</sst>",
            "xl/worksheets/sheet1.xml": f"<worksheet {NAMESPACE}><sheetData>{sheet}</sheetData></worksheet>",
        },
    )
    with zipfile.ZipFile(io.BytesIO(book)) as packed:
        rows = list(LargeWorkbook(packed).rows("List"))
    assert rows == [[], ["", "St. Mary", "東京", "#N/A"], ["a", "b & c", False]]


@pytest.mark.parametrize(
    "text", ["_x00&#52;1_", "_x005F_x0041_", "_x0000_", "__x000D_\n_x0041", "_x00fF__x0100__xD800_"]
)
@pytest.mark.parametrize("kind", ["s", "str", "inlineStr", "pieces"])
def test_signs_are_told_by_their_numbers_in_every_kind_of_text(tmp_path, text, kind):
    """Excel writes those that XML cannot hold as `_x000D_`. One cut in two by a change of font is none."""
    pieces = f"<r><t>_x00</t></r><r><t>41_{text}</t></r>"
    cells = {
        "s": '<c r="A1" t="s"><v>0</v></c>',
        "str": f'<c r="A1" t="str"><v>{text}</v></c>',
        "inlineStr": f'<c r="A1" t="inlineStr"><is><t>{text}</t></is></c>',
        "pieces": f'<c r="A1" t="inlineStr"><is>{pieces}</is></c><c r="B1" t="s"><v>1</v></c>',
    }
    sheet = f'<row r="1">{cells[kind]}</row>'
    book = with_parts(
        nasty_workbooks.GOOD,
        {
            "xl/sharedStrings.xml": f"<sst {NAMESPACE}><si><t>{text}</t></si><si>{pieces}</si></sst>",
            "xl/worksheets/sheet1.xml": f"<worksheet {NAMESPACE}><sheetData>{sheet}</sheetData></worksheet>",
        },
    )
    small, large = both(tmp_path, book)
    assert small == large
    assert small[0] == {"name": "List", "names": ["List"]}


def test_what_is_large_goes_by_what_it_unpacks_to(tmp_path):
    """Not by its own size; and what is no .xlsx is not."""
    path = written(tmp_path, xlsx({"List": [["name", "address"]]}))
    assert is_large(path, 100)
    assert not is_large(path)
    assert not is_large(written(tmp_path, b"PK\x03\x04"), 0)
    assert issubclass(zipfile.BadZipFile, UNREADABLE)


def test_hidden_and_missing_sheets_are_told_alike(tmp_path):
    """And which ones there are."""
    book = xlsx({"A": [["x"]], "B & C": [["y"]]})
    assert [said for said, _ in both(tmp_path, book, "B & C")] == [{"name": "B & C", "names": ["A", "B & C"]}] * 2
    first, second = both(tmp_path, book, "Z")
    assert first[0] == second[0]


@pytest.mark.parametrize("is_large_one", [False, True])
def test_a_full_disk_says_nothing_about_the_workbook(tmp_path, is_large_one):
    """It is not called damaged, by either reader: the answer is that it is too much."""
    book = bomb(nasty_workbooks.GOOD, 25 if is_large_one else 0)
    path = written(tmp_path, book)
    assert is_large(path) is is_large_one
    path.with_suffix(".sheet.csv").symlink_to("/dev/full")
    assert isinstance(read(path, Rules(max_rows=100)), UnpacksToTooMuch)


def test_a_large_one_that_ends_too_early_is_called_damaged(tmp_path):
    """After any number of rows that were good."""
    rows = "".join(f"<row r='{row}'><c><v>{row}</v></c></row>" for row in range(1, 20_000))
    book = with_parts(nasty_workbooks.GOOD, {"xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{rows}"})
    assert set(write_large_sheet(written(tmp_path, book), tmp_path / "out.csv", 100_000, None)) == {"not_a_workbook"}
