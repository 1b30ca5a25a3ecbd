"""Choosing, checking, confirming and sending a file."""

from typing import Any

from playwright.sync_api import Page, expect
from starlette.responses import JSONResponse

from shared.runtime.http.problems import Problem, kafka_down
from shared.runtime.http.row_problems import ProblemCode, RowProblem
from tests.page.fake_api import JOB_ID, FakeApi, accepted, finding, valid

CSV = {"name": "hospitals.csv", "mimeType": "text/csv", "buffer": b"name,address\nGood Hope,1 Hope Street\n"}
EARLIER = {"job_id": "earlier", "created_at": "2026-03-01T09:30:00Z"}


def choose(page: Page, api: FakeApi, **changes: Any) -> None:
    """Opens the page and chooses a file."""
    page.goto(api.url)
    page.set_input_files("#file", {**CSV, **changes})


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def in_progress() -> Any:
    return Problem(409, "in_progress", "still in progress", retry_after=1).response()


def test_a_good_file_is_confirmed_sent_and_watched(page: Page, api: FakeApi) -> None:
    """The walk of every day: choose, read, press, watch."""
    choose(page, api)
    expect(page.locator(".tiles")).to_have_text("Hospitals25ErrorsnoneTakes about3 seconds")
    expect(page.get_by_text("There is no undo")).to_be_visible()
    assert api.keys() == []
    press(page, "Upload 25 hospitals")
    expect(page).to_have_url(f"{api.url}/#/jobs/{JOB_ID}")
    expect(page.get_by_text("All 40 hospitals are created and activated.", exact=True).first).to_be_visible()
    [key] = api.keys()
    assert key
    assert len(key) == 32


def test_every_error_stands_beside_its_row_and_column(page: Page, api: FakeApi) -> None:
    """A thousand errors are shown page by page, with their true number, and nothing is sent."""
    errors = [
        finding(row, "address", "missing_value", f"The address in row {row} is missing.") for row in range(2, 1002)
    ]
    api.validations[0] = valid(valid=False, errors=errors, errors_total=1500)
    choose(page, api)
    expect(page.get_by_role("heading", name="hospitals.csv has 1,500 errors")).to_be_focused()
    expect(page.locator(".findings h4")).to_have_text("Cells that must be filled · 1,000 rows")
    expect(page.get_by_text("500 more are not listed here.")).to_be_visible()
    rows = page.locator(".wrong-row")
    expect(rows).to_have_count(20)
    expect(rows.nth(5)).to_have_text("Row 7address: The address in row 7 is missing.")
    press(page, "Show 20 more of 1,000 rows")
    expect(rows).to_have_count(40)
    assert api.keys() == []


def test_an_error_of_the_whole_file_has_no_row(page: Page, api: FakeApi) -> None:
    """An empty file is nobody's row."""
    error = finding(None, None, "empty_file", "The file is empty.")
    api.validations[0] = valid(valid=False, errors=[error], mapping=None, header_row=None, delimiter=None, sample=[])
    choose(page, api)
    expect(page.locator(".wrong-row")).to_have_text("The fileThe file is empty.")


def test_an_error_stands_beside_what_it_is_about(page: Page, api: FakeApi) -> None:
    """The row as the file has it, with the cell marked; two errors of one row are one line."""
    found = [
        finding(3, "name", "missing_value", "The name is missing."),
        finding(3, "phone", "invalid_phone", "'call us' is no phone number.", "call us"),
        finding(4, None, "too_many_fields", "The row has 4 fields, the header 3."),
    ]
    mapping = {"name": ["Name"], "address": ["address"], "phone": ["phone"], "unused": []}
    api.validations[0] = valid(valid=False, errors=found, delimiter=";", mapping=mapping)
    choose(page, api, buffer=b'Name;address;phone\nA;B;\n;"3, Lake\nRoad";call us\nC;D;;north\n')
    rows = page.locator(".wrong-row")
    expect(rows).to_have_count(2)
    expect(rows.first.locator("li")).to_have_text(
        ["name: The name is missing.", "phone: 'call us' is no phone number."]
    )
    expect(rows.first.locator("label")).to_have_text(["Name", "address", "phone"])
    expect(rows.first.get_by_label("address")).to_have_value("3, Lake\nRoad")
    expect(rows.first.get_by_label("phone")).to_have_value("call us")
    wrong = "[aria-invalid]"
    assert [each.input_value() for each in rows.first.locator(wrong).all()] == ["", "call us"]
    expect(rows.last.locator(wrong)).to_have_value("north")


def test_rows_that_are_alike_can_be_allowed(page: Page, api: FakeApi) -> None:
    """Two wards of one hospital may be meant: the file is checked and sent with that leave."""
    twins = [finding(3, None, "duplicate_row", "The same hospital as in row 2.")]
    api.validations.extendleft([valid(valid=False, errors=twins)])
    choose(page, api)
    page.get_by_label("Allow duplicates").click()
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")
    assert api.sent("validate")[1].fields == {"allow_duplicates": "true"}
    assert api.sent("bulk")[0].fields == {"allow_duplicates": "true"}


def test_the_same_file_again_is_asked_about(page: Page, api: FakeApi) -> None:
    """The commonest accident: nothing is sent unless somebody says that it is meant."""
    api.validations[0] = valid(same_file_as=[EARLIER])
    choose(page, api)
    expect(page.get_by_role("heading", name="Upload the same file again?")).to_be_focused()
    expect(page.get_by_role("link", name="Upload of 1 March 2026 at 09:30")).to_have_attribute("href", "#/jobs/earlier")
    press(page, "No, leave it")
    expect(page.get_by_text("Drop your list here")).to_be_visible()
    assert api.keys() == []


def test_the_same_file_may_be_meant(page: Page, api: FakeApi) -> None:
    """An explicit yes sends it."""
    api.validations[0] = valid(same_file_as=[EARLIER])
    choose(page, api)
    press(page, "Yes, upload it again")
    page.wait_for_url("**/#/jobs/*")
    assert len(api.keys()) == 1


def test_a_file_that_corrects_an_upload_says_which(page: Page, api: FakeApi) -> None:
    """Its rows say so by themselves; nothing has to be chosen."""
    api.validations[0] = valid(corrects="earlier")
    choose(page, api)
    expect(page.get_by_role("heading", name="Ready to upload 25 hospitals")).to_be_focused()
    expect(page.get_by_role("link", name="an earlier upload")).to_have_attribute("href", "#/jobs/earlier")


def test_hospitals_that_were_created_before_are_asked_about(page: Page, api: FakeApi) -> None:
    """Also when the file is another one: each row leads to the upload that created it."""
    rows = [{"row": 3, "job_id": "earlier", "job_row": 7}]
    api.validations[0] = valid(already_created={"count": 12, "rows": rows})
    choose(page, api)
    expect(page.get_by_role("heading", name="Create 12 hospitals a second time?")).to_be_focused()
    expect(page.get_by_role("button", name="Yes, upload all 25 hospitals")).to_be_visible()
    expect(page.get_by_text("12 hospitals of this file were created before.")).to_be_visible()
    expect(page.get_by_role("link", name="row 7 of an earlier upload")).to_have_attribute("href", "#/jobs/earlier")
    expect(page.get_by_text("and 11 more")).to_be_visible()
    press(page, "No, leave it")
    expect(page.get_by_text("Drop your list here")).to_be_visible()
    assert api.keys() == []


def test_an_upload_in_progress_is_repeated_by_itself_with_its_key(page: Page, api: FakeApi) -> None:
    """The first answer was lost on its way: the second request gets it."""
    api.uploads.extendleft([in_progress()])
    choose(page, api)
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")
    first, second = api.keys()
    assert first == second


def test_an_outage_is_told_and_tried_again_with_the_same_key(page: Page, api: FakeApi) -> None:
    """The words of the service, a button, and no second job."""
    api.uploads.extendleft([kafka_down().response()])
    choose(page, api)
    press(page, "Upload 25 hospitals")
    expect(page.locator(".notice.bad")).to_have_text(kafka_down().detail)
    press(page, "Try again")
    page.wait_for_url("**/#/jobs/*")
    first, second = api.keys()
    assert first == second


def test_another_choice_of_the_same_file_has_another_key(page: Page, api: FakeApi) -> None:
    """Who chooses the file anew means a new upload."""
    choose(page, api)
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")
    page.get_by_role("link", name="All uploads").click()
    page.set_input_files("#file", CSV)
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")
    first, second = api.keys()
    assert first != second


def test_errors_that_only_the_upload_found_are_shown_as_well(page: Page, api: FakeApi) -> None:
    """The file was changed in between; the table tells."""
    errors = [RowProblem(row=2, column="phone", code=ProblemCode.INVALID_PHONE, message="Not a phone number.")]
    api.uploads[0] = Problem(400, "invalid_file", "The file has 1 error.", errors=errors).response()
    choose(page, api)
    press(page, "Upload 25 hospitals")
    expect(page.locator(".wrong-row li")).to_have_text("phone: Not a phone number.")


def test_a_file_that_is_none_offers_no_second_try(page: Page, api: FakeApi) -> None:
    """A PDF does not become a CSV by being sent again."""
    api.validations[0] = Problem(415, "not_a_csv", "'notes.pdf' is not a CSV file.").response()
    choose(page, api, name="notes.pdf")
    expect(page.get_by_text("'notes.pdf' is not a CSV file.", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_proxys_page_in_place_of_an_answer_is_told_plainly(page: Page, api: FakeApi) -> None:
    """Not JSON: the status has to do, and the file stays chosen."""
    api.validations.extendleft([JSONResponse("<html>", 504)])
    choose(page, api)
    expect(page.locator(".notice.bad")).to_contain_text("(504)")
    press(page, "Try again")
    expect(page.get_by_role("button", name="Upload 25 hospitals")).to_be_visible()


def test_html_in_a_name_stays_text(page: Page, api: FakeApi) -> None:
    """A file may be called what it likes."""
    name = "<img src=x onerror=alert(1)>.csv"
    errors = [finding(2, "<b>name</b>", "missing_value", "<script>alert(1)</script>")]
    mapping = {"name": ["<i>name</i>"], "address": [], "phone": [], "unused": ["<b>other</b>"]}
    api.validations[0] = valid(valid=False, errors=errors, mapping=mapping)
    choose(page, api, name=name, buffer=b"<i>name</i>,<b>other</b>\n<script>alert(2)</script>\n")
    expect(page.get_by_role("heading", name=f"{name} has 1 error")).to_be_visible()
    expect(page.locator(".wrong-row li")).to_have_text("<b>name</b>: <script>alert(1)</script>")
    expect(page.get_by_label("<i>name</i>")).to_have_value("<script>alert(2)</script>")
    expect(page.locator("main img, main b, main i, main script")).to_have_count(0)


def drop(page: Page, *names: str) -> None:
    """Drops small files on the page's header."""
    page.evaluate(
        """names => {
            const dataTransfer = new DataTransfer();
            const file = name => new File(["name,address\\nA,B\\n"], name, { type: "text/csv" });
            for (const name of names) dataTransfer.items.add(file(name));
            const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
            document.querySelector("header").dispatchEvent(event);
        }""",
        names,
    )


def test_a_file_can_be_dropped_anywhere(page: Page, api: FakeApi) -> None:
    """On the window, not only on the zone, and while one looks at a job; and the browser does not open it."""
    page.goto(f"{api.url}/#/jobs/{JOB_ID}")
    expect(page.locator(".chip")).to_have_text("Completed")
    drop(page, "dropped.csv")
    expect(page.get_by_text("dropped.csv (17 bytes)")).to_be_visible()
    expect(page.get_by_role("heading", name="Ready to upload 25 hospitals")).to_be_focused()


def test_several_files_are_sent_one_after_the_other(page: Page, api: FakeApi) -> None:
    """Each is checked and confirmed by itself and has a key of its own; at the end all of them are listed."""
    page.goto(api.url)
    drop(page, "one.csv", "two.csv", "three.csv")
    expect(page.get_by_text("File 1 of 3")).to_be_visible()
    press(page, "Upload 25 hospitals")
    expect(page.get_by_text("File 2 of 3")).to_be_visible()
    press(page, "Cancel")
    expect(page.get_by_text("File 3 of 3")).to_be_visible()
    press(page, "Upload 25 hospitals")
    expect(page.get_by_role("heading", name="2 files uploaded")).to_be_focused()
    expect(page.locator(".panel a")).to_have_text(["one.csv", "three.csv"])
    press(page, "Done")
    expect(page.get_by_text("Drop your list here")).to_be_visible()
    assert [sent.name for sent in api.sent("bulk")] == ["one.csv", "three.csv"]
    assert len(set(api.keys())) == 2


def test_an_example_can_be_filled_in(page: Page, api: FakeApi) -> None:
    """As CSV and as a workbook."""
    page.goto(api.url)
    for link, start in {"CSV": b"\xef\xbb\xbfname,address,phone", "Excel": b"PK\x03\x04"}.items():
        with page.expect_download() as download:
            page.get_by_role("link", name=link, exact=True).click()
        assert download.value.path().read_bytes().startswith(start)


def test_the_whole_upload_works_from_the_keyboard(page: Page, api: FakeApi) -> None:
    """Tab to the file, Enter opens the chooser, the focus follows the walk, Tabs and Enter send it."""
    page.goto(api.url)
    while page.evaluate("document.activeElement.id") != "file":
        page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(CSV)
    expect(page.get_by_role("heading", name="Ready to upload 25 hospitals")).to_be_focused()
    while page.evaluate("document.activeElement.textContent") != "Upload 25 hospitals":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/jobs/*")
    expect(page.get_by_role("heading", name="hospitals.csv")).to_be_focused()


def test_an_accepted_upload_leaves_the_card_empty(page: Page, api: FakeApi) -> None:
    """Back on the first view, the next file can be chosen."""
    api.uploads[0] = accepted()
    choose(page, api)
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")
    page.go_back()
    expect(page.get_by_text("Drop your list here")).to_be_visible()
