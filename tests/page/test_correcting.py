"""A file is read as it is, corrected in the page, checked again and sent."""

import csv
import io
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from services.ingest.csv_file.validation import FileAccepted, Rules, validate_file
from services.status.web.page_files import PAGE
from shared.runtime.http.problems import Problem, kafka_down
from shared.runtime.http.row_problems import ProblemCode, RowProblem
from tests.page.fake_api import FakeApi, finding, valid
from tests.page.sent_file import checked, sheet_of
from tests.page.test_upload import choose, drop, press
from tests.support.ingest.workbooks import xlsx
from tests.support.ingest.written_csv import csv_bytes

MARK = "\ufeff".encode()
OLD_EXPORT = (
    "Hospital Name;TELEPHONE;Direcci\u00f3n;Beds\r\n"
    "Cl\u00ednica Mu\u00f1oz;+34 555 0101;Calle Mayor 1;20\r\n"
    ";+34 555 0102;Calle Mayor 2;30\r\n"
    "San Jos\u00e9;call us;Calle Mayor 3;40\r\n"
    "Santa Luc\u00eda;9.2E+09;Calle Mayor 4;50\r\n"
    'La "Paz"; +34 555 0104 ;Calle Mayor 5;60\r\n'
)


@pytest.fixture(autouse=True)
def service(api: FakeApi) -> None:
    """Files are read by the service's own code."""
    api.validations[0] = checked


def row(page: Page, number: int) -> Any:
    return page.locator(".wrong-row").filter(has=page.get_by_role("heading", name=f"Row {number}", exact=True))


def test_an_old_export_is_understood_corrected_and_sent(page: Page, api: FakeApi) -> None:
    """Windows-1252, other names of columns, three bad rows: the bytes and parameters that arrive are right."""
    choose(page, api, name="export.csv", buffer=OLD_EXPORT.encode("cp1252"))
    expect(page.get_by_role("heading", name="How is export.csv written?")).to_be_focused()
    page.locator(".guesses button").filter(has_text="Cl\u00ednica Mu\u00f1oz").first.click()
    expect(page.get_by_role("heading", name="export.csv has 3 errors")).to_be_focused()
    expect(page.locator(".findings h4")).to_have_count(3)
    row(page, 3).get_by_label("Hospital Name").fill('San "Juan"; Norte')
    row(page, 4).get_by_label("TELEPHONE").fill("+34 555 0103")
    row(page, 5).get_by_label("TELEPHONE").fill("+34 555 0105")
    press(page, "Check again with 3 corrected rows")
    expect(page.get_by_role("heading", name="Ready to upload 5 hospitals")).to_be_focused()
    expect(page.locator("tbody tr").nth(1)).to_have_text('3San "Juan"; NorteCalle Mayor 2+34 555 0102')
    press(page, "Upload 5 hospitals")
    page.wait_for_url("**/#/jobs/*")

    [sent] = api.sent("bulk")
    expected = OLD_EXPORT.replace("\r\n;+34", '\r\n"San ""Juan""; Norte";+34').replace("call us", "+34 555 0103")
    assert sent.content == MARK + expected.replace("9.2E+09", "+34 555 0105").encode()
    assert (sent.name, sent.fields) == ("export.csv", {})
    assert [check.fields for check in api.sent("validate")] == [{}, {"encoding": "windows-1252"}, {}]
    assert len(api.keys()) == 1


def test_the_corrected_file_can_be_saved(page: Page, api: FakeApi) -> None:
    """What is saved is what would be sent."""
    choose(page, api, buffer=b"name,address\n,1 Hope Street\nB,2 Hope Street\n")
    row(page, 2).get_by_label("name").fill("\u0141\u00f3d\u017a")
    with page.expect_download() as download:
        press(page, "Save the corrected file")
    assert download.value.suggested_filename == "hospitals-corrected.csv"
    assert download.value.path().read_bytes() == MARK + (
        "name,address\n\u0141\u00f3d\u017a,1 Hope Street\nB,2 Hope Street\n".encode()
    )


def test_a_row_is_corrected_from_the_keyboard(page: Page, api: FakeApi) -> None:
    """From the heading by Tab to the cell, by Tab to the button, and by Enter on."""
    choose(page, api, buffer=b"name,address\nA,\nB,2 Hope Street\n")
    expect(row(page, 2).get_by_label("address")).to_be_visible()
    heading = page.get_by_role("heading", name="hospitals.csv has 1 error")
    expect(heading).to_be_focused()
    while not page.evaluate("document.activeElement.ariaInvalid"):
        page.keyboard.press("Tab")
    page.keyboard.type("1 Hope Street")
    while page.evaluate("document.activeElement.textContent") != "Check again with 1 corrected row":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ready to upload 2 hospitals")).to_be_focused()


def test_a_row_that_is_left_out_leaves_the_numbers_of_the_others(page: Page, api: FakeApi) -> None:
    """It becomes a blank row: the errors below keep their rows."""
    choose(page, api, buffer=b"name,address\nA,1\nA,1\n,3\n")
    row(page, 3).get_by_role("button", name="Leave row 3 out").click()
    expect(row(page, 3).get_by_label("name")).to_be_disabled()
    press(page, "Check again with 1 corrected row")
    expect(page.get_by_role("heading", name="hospitals.csv has 1 error")).to_be_focused()
    row(page, 4).get_by_label("name").fill("C")
    press(page, "Check again with 1 corrected row")
    press(page, "Upload 2 hospitals")
    page.wait_for_url("**/#/jobs/*")
    assert api.sent("bulk")[0].content == MARK + b"name,address\nA,1\n\nC,3\n"


def test_a_row_may_be_kept_after_all(page: Page, api: FakeApi) -> None:
    """The second press takes the first back, and what was typed before counts again."""
    choose(page, api, buffer=b"name,address\n,1\n")
    row(page, 2).get_by_label("name").fill("A")
    row(page, 2).get_by_role("button", name="Leave row 2 out").click()
    row(page, 2).get_by_role("button", name="Leave row 2 out").click()
    press(page, "Check again with 1 corrected row")
    expect(page.get_by_role("heading", name="Ready to upload 1 hospital", exact=True)).to_be_focused()
    assert api.sent("validate")[1].content == MARK + b"name,address\nA,1\n"


def test_a_row_with_broken_quotes_is_corrected_as_it_is_written(page: Page, api: FakeApi) -> None:
    """Its cells cannot be told apart."""
    choose(page, api, buffer=b'name,address\n"A" ward,1\nB,2\n')
    row(page, 2).get_by_label("The row as it is written").fill("A ward,1")
    press(page, "Check again with 1 corrected row")
    expect(page.get_by_role("heading", name="Ready to upload 2 hospitals")).to_be_focused()


def test_a_comma_without_quotes_is_corrected_in_its_cells(page: Page, api: FakeApi) -> None:
    """The address spilled into the next columns: the cells that belong to none are shown too."""
    choose(page, api, buffer=b"name,address,phone\nA,Via Roma, 12,555 0101\n")
    cells = row(page, 2)
    cells.get_by_label("address").fill("Via Roma, 12")
    cells.get_by_label("phone").fill("555 0101")
    cells.get_by_label("Column 4").fill("")
    press(page, "Check again with 1 corrected row")
    press(page, "Upload 1 hospital")
    page.wait_for_url("**/#/jobs/*")
    assert api.sent("bulk")[0].content == MARK + b'name,address,phone\nA,"Via Roma, 12",555 0101,\n'


def test_columns_are_chosen_and_joined(page: Page, api: FakeApi) -> None:
    """No column looks like the address: two are joined for it. What is chosen goes with the upload."""
    choose(page, api, buffer=b"name,street1,town2,tel\nA,1 Hope Street,Springfield,555 0101\n")
    expect(page.get_by_role("heading", name="hospitals.csv has 1 error")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_text(re.compile("^found by its name"))
    page.get_by_label("Address", exact=True).select_option("street1")
    page.get_by_label("Address, column 2").select_option("town2")
    press(page, "Read it this way")
    expect(page.locator("tbody tr")).to_have_text("2A1 Hope Street, Springfield555 0101")
    press(page, "Upload 1 hospital")
    page.wait_for_url("**/#/jobs/*")
    [sent] = api.sent("bulk")
    assert sent.mapping == {"address": ["street1", "town2"]}


def test_what_is_chosen_anew_is_checked_before_it_can_be_sent(page: Page, api: FakeApi) -> None:
    """Else a file would go up otherwise than the page shows."""
    choose(page, api, buffer=b"name,address,phone\nA,1 Hope Street,555 0101\n")
    page.get_by_text("Read it another way").click()
    page.get_by_label("Phone", exact=True).select_option("none")
    expect(page.get_by_role("button", name="Upload 1 hospital")).to_be_hidden()
    press(page, "Read it this way")
    press(page, "Upload 1 hospital")
    page.wait_for_url("**/#/jobs/*")
    assert api.sent("bulk")[0].mapping == {"phone": None}


def test_warnings_are_asked_about(page: Page, api: FakeApi) -> None:
    """They refuse nothing, so a person says that they are meant, or corrects them."""
    choose(page, api, buffer=b"name,address\nTotal,1 Hope Street\nB,N/A\n")
    expect(page.get_by_role("heading", name="Look at 2 warnings first")).to_be_focused()
    assert api.keys() == []
    row(page, 3).get_by_label("address").fill("2 Hope Street")
    expect(page.get_by_role("button", name="Upload 2 hospitals as they are")).to_be_hidden()
    press(page, "Check again with 1 corrected row")
    expect(page.get_by_role("heading", name="Look at 1 warning first")).to_be_focused()
    press(page, "Upload 2 hospitals as they are")
    page.wait_for_url("**/#/jobs/*")
    assert b"B,2 Hope Street" in api.sent("bulk")[0].content


def test_a_sheet_can_be_chosen(page: Page, api: FakeApi) -> None:
    """The workbook goes up as it is, with the sheet's name."""
    sheets: Any = {"sheet": "Notes", "sheets": ["Notes", "Hospitals"], "encoding": None, "delimiter": None}
    bad = finding(3, "phone", "invalid_phone", "'call us' is not a phone number.", "call us")
    api.validations.clear()
    api.validations += [valid(**sheets, valid=False, errors=[bad]), valid(**sheets | {"sheet": "Hospitals"})]
    choose(page, api, name="list.xlsx", buffer=b"PK\x03\x04")
    expect(page.get_by_text("This file cannot be corrected here")).to_be_visible()
    expect(row(page, 3).locator(".value")).to_have_text("call us")
    page.get_by_text("Read it another way").click()
    page.get_by_label("Sheet").select_option("Hospitals")
    press(page, "Read it this way")
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")
    [sent] = api.sent("bulk")
    assert (sent.content, sent.fields) == (b"PK\x03\x04", {"sheet": "Hospitals"})


def workbook() -> bytes:
    """With a title, shared texts, numbers, a formula, a gap, and two bad rows; made from the example."""
    texts = ["Name", "Telephone", "Address", "A &amp; B", "call us", "1 Hope Street", "D", "2 Hope Street"]
    shared = "".join(f"<si><t>{text}</t></si>" for text in texts)
    text = '<c r="{}" t="s"><v>{}</v></c>'
    rows = {
        1: ['<c r="A1" t="inlineStr"><is><r><t>Hospitals</t></r><r><t xml:space="preserve"> of 2026</t></r></is></c>'],
        3: [text.format("B3", 0), text.format("C3", 1), text.format("E3", 2)],
        4: [text.format("B4", 3), text.format("C4", 4), text.format("E4", 5)],
        5: ['<c r="C5"><v>5550102</v></c>', '<c r="D5"><f>C5*2</f><v>11100204</v></c>', text.format("E5", 7)],
        6: [text.format("B6", 6), '<c r="C6" s="1"><v>5550103.0</v></c>', text.format("E6", 7)],
        7: ['<c r="C7"><v>5550104</v></c>', text.format("E7", 7)],
    }
    sheet = "".join(f'<row r="{row}" spans="1:5">{"".join(cells)}</row>' for row, cells in rows.items())
    made = io.BytesIO()
    with zipfile.ZipFile(PAGE / "example.xlsx") as example, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in example.namelist():
            part = example.read(name).decode()
            if name.endswith("sheet1.xml"):
                part = re.sub("<sheetData>.*</sheetData>", f"<sheetData>{sheet}</sheetData>", part)
            elif name.endswith("workbook.xml.rels"):
                kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
                relation = f'<Relationship Id="rId9" Type="{kind}" Target="sharedStrings.xml"/>'
                part = part.replace("</Relationships>", f"{relation}</Relationships>")
            packed.writestr(name, part)
        packed.writestr(
            "xl/sharedStrings.xml",
            f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{shared}</sst>',
        )
    return made.getvalue()


def test_a_workbook_is_corrected_and_stays_a_workbook(page: Page, api: FakeApi) -> None:
    """Only the changed cells are other ones; rows keep their numbers. A row with a formula is left to Excel."""
    before = workbook()
    choose(page, api, name="list.xlsx", buffer=before)
    expect(page.get_by_role("heading", name="list.xlsx has 3 errors")).to_be_focused()
    expect(row(page, 4).get_by_label("Name")).to_have_value("A & B")
    row(page, 4).get_by_label("Telephone").fill("<555> & 0101")
    row(page, 7).get_by_label("Name").fill("\u0141\u00f3d\u017a")
    expect(row(page, 5).get_by_role("textbox")).to_have_count(0)
    with page.expect_download() as download:
        press(page, "Save the corrected file")
    assert download.value.suggested_filename == "list-corrected.xlsx"
    press(page, "Check again with 2 corrected rows")
    expect(page.get_by_role("heading", name="list.xlsx has 2 errors")).to_be_focused()
    row(page, 4).get_by_label("Telephone").fill("555 0101")
    press(page, "Check again with 1 corrected row")
    expect(page.get_by_role("heading", name="list.xlsx has 1 error")).to_be_focused()
    expect(page.locator("tbody tr")).to_have_text(
        ["4A & B1 Hope Street555 0101", "6D2 Hope Street5550103", "7\u0141\u00f3d\u017a2 Hope Street5550104"]
    )
    after = api.sent("validate")[-1].content
    assert download.value.path().read_bytes() == api.sent("validate")[1].content
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(io.BytesIO(after)) as new:
        assert new.testzip() is None
        assert new.namelist() == old.namelist()
        changed = [name for name in old.namelist() if old.read(name) != new.read(name)]
        assert changed == ["xl/worksheets/sheet1.xml"]
        assert b"<f>C5*2</f>" in new.read(changed[0])


def test_a_row_of_a_workbook_can_be_left_out(page: Page, api: FakeApi) -> None:
    """It becomes a blank row."""
    choose(page, api, name="list.xlsx", buffer=workbook())
    for number in (4, 7):
        row(page, number).get_by_role("button", name=f"Leave row {number} out").click()
    press(page, "Check again with 2 corrected rows")
    expect(page.get_by_role("heading", name="list.xlsx has 1 error")).to_be_focused()
    expect(page.locator("tbody tr")).to_have_text("6D2 Hope Street5550103")


def test_another_encoding_can_be_named(page: Page, api: FakeApi) -> None:
    """When none of the guesses reads right, and again when the choice was wrong."""
    choose(page, api, buffer="name,address\n\u041c\u043e\u0441\u043a\u0432\u0430,1\n".encode("koi8-r"))
    page.get_by_label("Another way").select_option("koi8-r")
    press(page, "Read it so")
    expect(page.locator("tbody tr")).to_contain_text("\u041c\u043e\u0441\u043a\u0432\u0430")
    page.get_by_text("Read it another way").click()
    page.get_by_label("Letters").select_option("windows-1251")
    press(page, "Read it this way")
    expect(page.locator("tbody tr")).not_to_contain_text("\u041c\u043e\u0441\u043a\u0432\u0430")
    assert [check.fields.get("encoding") for check in api.sent("validate")] == [None, "koi8-r", "windows-1251"]


def test_every_change_is_another_request_with_another_key(page: Page, api: FakeApi) -> None:
    """A repetition has the same key; another file or other parameters never have an earlier one's."""
    page.goto(f"{api.url}/favicon.svg")
    keys = page.evaluate("""async () => {
        const { newAttempt } = await import("/upload/attempt.js");
        const file = new File(["a"], "a.csv");
        const other = newAttempt(file, { parameters: { sheet: "b" } });
        return [newAttempt(file), other, newAttempt(file)].map(({ key }) => key);
    }""")
    assert len(set(keys)) == 3


def test_a_corrected_file_is_another_upload(page: Page, api: FakeApi) -> None:
    """What only the upload found is corrected as well, and goes up with a key of its own."""
    bad = RowProblem(row=2, column="phone", code=ProblemCode.INVALID_PHONE, message="Not a phone number.")
    api.uploads.extendleft([Problem(400, "invalid_file", "The file has 1 error.", errors=[bad]).response()])
    choose(page, api, buffer=b"name,address,phone\nA,1,555 0101\n")
    press(page, "Upload 1 hospital")
    row(page, 2).get_by_label("phone").fill("555 0102")
    press(page, "Check again with 1 corrected row")
    press(page, "Upload 1 hospital")
    page.wait_for_url("**/#/jobs/*")
    first, second = api.keys()
    assert first != second
    assert [sent.content[-5:] for sent in api.sent("bulk")] == [b"0101\n", b"0102\n"]


def test_corrections_are_not_lost_to_another_file_without_a_question(page: Page, api: FakeApi) -> None:
    """A file dropped by mistake: who goes on correcting has lost nothing."""
    choose(page, api, buffer=b"name,address\n,1 Hope Street\n")
    row(page, 2).get_by_label("name").fill("A")
    drop(page, "other.csv")
    page.get_by_role("dialog").get_by_role("button", name="Go on correcting").click()
    expect(row(page, 2).get_by_label("name")).to_have_value("A")
    drop(page, "other.csv")
    page.get_by_role("dialog").get_by_role("button", name="Take the new file").click()
    expect(page.get_by_text("other.csv (17 bytes)")).to_be_visible()


def test_the_list_of_errors_can_be_taken_along(page: Page, api: FakeApi) -> None:
    """As CSV, with the code and the value; nothing in it is a formula."""
    choose(page, api, buffer=b"name,address,phone\nA,1,=cmd()\n,2,+1 555 0101\n")
    with page.expect_download() as download:
        press(page, "Get the list as CSV")
    assert download.value.suggested_filename == "hospitals-errors.csv"
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert [(each["row"], each["column"], each["code"], each["value"]) for each in rows] == [
        ("2", "phone", "invalid_phone", "'=cmd()"),
        ("3", "name", "missing_value", ""),
    ]


def test_errors_that_are_not_listed_are_in_the_list_too(page: Page, api: FakeApi) -> None:
    """The service writes it, for the same reading of the file."""
    lines = "name,address\nCafé,1\n" + "".join(f"A{row},\n" for row in range(3, 2_003))
    choose(page, api, buffer=lines.encode("cp1252"))
    page.get_by_role("button", name="Windows-1252 (Western Europe)").click()
    expect(page.get_by_role("heading", name="hospitals.csv has 2,000 errors")).to_be_focused()
    with page.expect_download() as download:
        press(page, "Get the list as CSV")
    assert download.value.suggested_filename == "hospitals-errors.csv"
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert [int(each["row"]) for each in rows] == list(range(3, 2_003))
    api.validations[0] = valid(valid=False, errors=[], errors_total=3_000)
    with page.expect_download() as download:
        press(page, "Get the list as CSV")
    expect(page.get_by_text("Only the first 1,000 are in it.")).to_be_visible()
    assert len(download.value.path().read_text("utf-8-sig").splitlines()) == 1_001
    api.validations[0] = kafka_down().response()
    press(page, "Get the list as CSV")
    expect(page.get_by_text(kafka_down().detail)).to_be_visible()


def test_the_row_of_the_header_can_be_chosen(page: Page, api: FakeApi) -> None:
    """A title that looks like a header: from the keyboard, and what was chosen before is not lost."""
    text = "Institution,Location\nThe registry,Town hall\nname,address\nA,1 Road\nB,2 Road\n"
    choose(page, api, buffer=text.encode())
    expect(page.get_by_text("the columns are named in row 1.")).to_be_visible()
    page.get_by_text("Read it another way").click()
    field = page.get_by_label("Row that names the columns")
    expect(field).to_have_value("1")
    field.press("ControlOrMeta+a")
    page.keyboard.type("3")
    expect(page.get_by_role("button", name="Check again")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ready to upload 2 hospitals")).to_be_focused()
    assert [sent.fields for sent in api.sent("validate")] == [{}, {"header_row": "3"}]
    page.get_by_text("Read it another way").click()
    field.fill("9")
    press(page, "Read it this way")
    expect(page.get_by_text("Row 9 names no columns. Choose the row that does, counted from 1.")).to_be_visible()
    expect(field).to_have_value("9")
    field.fill("")
    press(page, "Read it this way")
    expect(page.get_by_text("the columns are named in row 1.")).to_be_visible()
    assert api.sent("validate")[-1].fields == {}


def test_where_no_header_was_found_its_row_can_be_said(page: Page, api: FakeApi) -> None:
    """It stands further down than it is looked for."""
    title = "".join(f"Part {number} of the report,12,2026\n" for number in range(25))
    choose(page, api, buffer=f"{title}name,address\nA,1 Road\n".encode())
    expect(page.get_by_role("heading", name="hospitals.csv has 1 error")).to_be_focused()
    page.get_by_label("Row that names the columns").fill("26")
    press(page, "Read it this way")
    expect(page.get_by_role("heading", name="Ready to upload 1 hospital", exact=True)).to_be_focused()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_columns_without_a_header_are_chosen_by_their_letters(page: Page, api: FakeApi, kind: str) -> None:
    """One question: which column is which. A bad row is corrected as everywhere, and keeps its number."""
    rows = [["X1A", "Trust One", "Hill House", "Town", "01482 1"], ["X1C", "Trust Two", "Point 5", "", "call us"]]
    book = xlsx({"List": rows}) if kind == "xlsx" else csv_bytes(rows)
    choose(page, api, name=f"trusts.{kind}", buffer=book)
    expect(page.get_by_text("The first line looks like data")).to_be_visible()
    page.get_by_label("Name", exact=True).select_option("B: Trust One")
    page.get_by_label("Address", exact=True).select_option("C: Hill House")
    page.get_by_label("Address, column 2").select_option("D: Town")
    page.get_by_label("Phone", exact=True).select_option("E: 01482 1")
    press(page, "Read it this way")
    expect(page.get_by_role("heading", name=f"trusts.{kind} has 1 error")).to_be_focused()
    expect(page.get_by_text("no row names the columns")).to_be_visible()
    row(page, 2).get_by_label("E", exact=True).fill("01482 2")
    press(page, "Check again with 1 corrected row")
    expect(page.locator("tbody tr")).to_have_text(["1Trust OneHill House, Town01482 1", "2Trust TwoPoint 501482 2"])
    press(page, "Upload 2 hospitals")
    page.wait_for_url("**/#/jobs/*")
    [sent] = api.sent("bulk")
    assert sent.fields["header_row"] == "0"
    assert sent.mapping == {"name": ["B"], "address": ["C", "D"], "phone": ["E"]}


def test_a_million_rows_are_corrected_without_a_pause(page: Page, api: FakeApi) -> None:
    """The file is read piece by piece; the page answers meanwhile, and only the one row is changed."""
    api.validations[0] = valid(
        1_000_000, valid=False, errors=[finding(900_001, "name", "missing_value", "The name is missing.")]
    )
    page.goto(api.url)
    page.evaluate(
        """() => {
            window.longest = 0;
            let last = performance.now();
            setInterval(() => {
                const now = performance.now();
                [longest, last] = [Math.max(longest, now - last), now];
            }, 5);
            const part = ["Good Hope Hospital,1 Hope Street,+1 555 0101\\n".repeat(100_000)];
            const nine = Array(9).fill(part).flat().join("").slice(0, -45);
            const file = new File(["name,address,phone\\n", nine, ",9 Hope Street,\\n", ...part], "million.csv");
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(file);
            longest = 0;
            last = performance.now();
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }"""
    )
    row(page, 900_001).get_by_label("name").fill("Last", timeout=60_000)
    longest = page.evaluate("longest")
    api.validations[0] = valid(1_000_000)
    press(page, "Check again with 1 corrected row")
    expect(page.get_by_role("heading", name="Ready to upload 1,000,000 hospitals")).to_be_visible(timeout=60_000)
    [_, sent] = api.sent("validate")
    lines = sent.content.splitlines()
    assert len(lines) == 1_000_001
    assert lines[900_000] == b"Last,9 Hope Street,"
    print(f"the longest pause: {longest:.0f} ms")
    assert longest < 1000, "the page did not answer for so many ms"


def test_the_examples_are_read_as_they_are(tmp_path: Path) -> None:
    """The CSV and the workbook hold the same hospitals, and nothing is wrong with them."""
    files = [Path(shutil.copy(PAGE / name, tmp_path)) for name in ("example.csv", "example.xlsx")]
    rules = Rules(max_rows=10)
    results = [validate_file(file, rules, sheet_of(file, rules)) for file in files]
    samples = []
    for result in results:
        assert isinstance(result, FileAccepted)
        assert result.warnings == []
        samples.append(result.reading.sample)
    assert samples[0] == samples[1]
    assert len(samples[0]) == 3
