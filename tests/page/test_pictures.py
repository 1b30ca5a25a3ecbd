"""The pictures of docs/clerk.md: walks of a clerk through the page. PICTURES=docs takes them anew.

They are of this page alone: what a spreadsheet looks like is told in words.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_api import FakeApi
from tests.page.sent_file import checked
from tests.page.test_upload import choose, press
from tests.support.ingest.workbooks import xlsx

ROOT = Path(__file__).parents[2]
ROWS = [
    ["Our hospitals in the north", "", "", "", ""],
    [],
    ["Hospital Name", "Street", "City", "Telephone", "Beds"],
    ["Mercy Heart Institute", "880 Linden Avenue", "Kingsport", "(555) 010-2233", 120],
    ["Klinikum S\u00fcd", "Ringstra\u00dfe 8", "K\u00f6ln", "0211 555 0801", 760],
    ["Good Hope", "1 Hope Street", "Ada", "555-0101", 40],
]


@pytest.fixture(autouse=True)
def service(api: FakeApi) -> None:
    """Files are read by the service's own code."""
    api.validations[0] = checked


def picture(page: Page, name: str) -> None:
    """Of the card with the file, when pictures are wanted; the guide has it in any case."""
    assert (ROOT / "docs" / name).is_file() or os.environ.get("PICTURES")
    assert f"({name})" in (ROOT / "docs" / "clerk.md").read_text("utf-8")
    if folder := os.environ.get("PICTURES"):
        page.set_viewport_size({"width": 900, "height": 1400})
        page.locator("section.card", has=page.locator("#upload-title")).screenshot(path=ROOT / folder / name)


def test_a_workbook_of_excel(page: Page, api: FakeApi) -> None:
    """With a title above the header, and the address in two columns: they are joined."""
    choose(page, api, name="hospitals.xlsx", buffer=xlsx({"North": ROWS, "Old": [["x"]]}))
    expect(page.get_by_text("Sheet \u201cNorth\u201d, the columns are named in row 3.")).to_be_visible()
    page.get_by_text("Read it another way").click()
    page.get_by_label("Address, column 2").select_option("City")
    expect(page.get_by_role("button", name="Read it this way")).to_be_visible()
    picture(page, "page-excel.png")
    press(page, "Read it this way")
    expect(page.locator(".panel tbody tr").first).to_contain_text("880 Linden Avenue, Kingsport")


def test_an_old_csv_of_excel(page: Page, api: FakeApi) -> None:
    """Saved as plain CSV, which is not UTF-8: the clerk takes the words that read right."""
    lines = "".join(";".join(map(str, row)) + "\r\n" for row in ROWS)
    choose(page, api, name="hospitals.csv", buffer=lines.encode("cp1252"))
    expect(page.get_by_role("heading", name="How is hospitals.csv written?")).to_be_focused()
    expect(page.locator(".guesses button").first).to_contain_text("Klinikum S\u00fcd, Ringstra\u00dfe 8, K\u00f6ln")
    picture(page, "page-letters.png")
    page.locator(".guesses button").first.click()
    expect(page.get_by_role("heading", name="Look at 1 warning first")).to_be_focused()


def test_a_list_of_google_sheets(page: Page, api: FakeApi) -> None:
    """Downloaded as CSV: one phone is cut, one address is missing, one row stands there twice."""
    rows: list[list[Any]] = [["Name", "Address", "Phone"], *([row[0], row[1], row[3]] for row in ROWS[3:])]
    rows += [["Lakeside", "", "555-0103"], ["Sankt J\u00fcrgen", "Weg 3", "4.92E+11"], rows[1]]
    text = "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows)
    choose(page, api, name="hospitals - North.csv", buffer=text.encode())
    expect(page.get_by_role("heading", name="hospitals - North.csv has 3 errors")).to_be_focused()
    page.locator(".wrong-row input[aria-invalid]").first.fill("3 Lake Road")
    page.get_by_role("button", name="Leave row 7 out").click()
    expect(page.get_by_role("button", name="Check again with 2 corrected rows")).to_be_visible()
    picture(page, "page-correcting.png")
