"""The pictures of docs/clerk.md: walks of a clerk, and each state of the page. PICTURES=docs takes them anew.

They are of this page alone: what a spreadsheet looks like is told in words.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from starlette.requests import Request

from tests.page.fake_api import FakeApi, ended, failures, job
from tests.page.sent_file import checked
from tests.page.test_job import watch, watch_live
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
DOCS = ROOT / "docs"
#: The end of a picture's name → the width, in pixels, and the colours.
LOOKS: dict[str, tuple[int, Any]] = {
    "": (1280, "light"),
    "-dark": (1280, "dark"),
    "-phone": (400, "light"),
    "-phone-dark": (400, "dark"),
}
#: Without the gradient, which makes a picture a third larger.
FLAT = "document.documentElement.style.background = 'var(--ground)'"
#: A table's head may be missing in a picture that is taken while the page changes its size.
DRAWN = "() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
AFTER = {"outcome": "all_created_after_correction", "corrected_hospitals": 8, "activated": True}
EIGHTY = {"file_name": "region-north.csv", "total_hospitals": 80, "processed_hospitals": 80, "created_hospitals": 72}


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


def refused(**changes: Any) -> dict[str, Any]:
    """80 rows, 8 of which failed."""
    took = {"processing_time_seconds": 8.1, "active_seconds": 8.1}
    return ended(failed=8, activated=False) | EIGHTY | took | changes


def rows(**changes: Any) -> list[dict[str, Any]]:
    """The rows that failed; of the first nobody can tell."""
    found = failures(8, attempts=1, error="The directory refused the hospital: this address is unknown.", **changes)
    names = [
        "Good Hope",
        "Lakeside",
        "Klinikum S\u00fcd",
        "Clinique du Lac",
        "Charity",
        "San Juan",
        "Mercy",
        "Sankt Georg",
    ]
    return [each | {"name": name, "row": 9 * n + 4} for n, (each, name) in enumerate(zip(found, names, strict=True))]


def csv_of(*lines: str) -> bytes:
    """A file as a spreadsheet writes it."""
    return "".join(f"{line}\r\n" for line in lines).encode()


SPANISH = [f"Cl\u00ednica Mu\u00f1oz {n};Calle Mayor {n};Madrid;+34 555 010{n}" for n in range(1, 8)]
READ = csv_of("Hospital Name;Direcci\u00f3n;Ciudad;TELEPHONE", *SPANISH)
WRONG = csv_of(
    "Hospital Name,ADDRESS,TELEPHONE",
    "Good Hope,1 Hope Street,555-0101",
    "Lakeside,3 Lake Road,call us",
    "Charity,,555-0103",
    "San Juan,5 Mill Lane,5.5E+09",
    "Good Hope,1 Hope Street,555-0101",
)


def uploads(page: Page, api: FakeApi) -> None:
    """The page as it opens."""
    api.listed = [
        job("a", file_name="region-west.csv", total_hospitals=400, processed_hospitals=243, progress_percentage=60.7)
        | {"created_hospitals": 243},
        refused(job_id="b", created_at="2026-03-01T09:12:40Z", unknown_hospitals=1),
        refused(job_id="c", created_at="2026-03-01T09:02:05Z") | AFTER | {"file_name": "region-south.csv"},
        ended("d", file_name="region-north.csv", created_at="2026-02-28T16:40:12Z"),
    ]
    page.goto(api.url)
    expect(page.locator(".jobs li")).to_have_count(4)


def reading(page: Page, api: FakeApi) -> None:
    """How a file was read."""
    choose(page, api, name="hospitales.csv", buffer=READ)
    page.get_by_text("Read it another way").click()
    expect(page.get_by_label("Address, column 2")).to_be_visible()


def errors(page: Page, api: FakeApi) -> None:
    """What is wrong, one cell corrected already."""
    choose(page, api, name="hospitals.csv", buffer=WRONG)
    page.locator(".wrong-row [aria-invalid]").first.fill("555-0102")
    expect(page.get_by_role("button", name="Check again with 1 corrected row")).to_be_visible()


def created_before(page: Page, api: FakeApi) -> None:
    """Hospitals that an earlier upload has created."""
    found = [{"row": n, "job_id": "earlier", "job_row": n + 10} for n in (3, 5, 6)]
    api.validations[0] = before(checked, {"count": 3, "rows": found})
    choose(page, api, name="hospitales.csv", buffer=READ)
    expect(page.get_by_role("heading", name="Create 3 hospitals a second time?")).to_be_focused()


def before(verdict: Callable[[Request], Any], created: dict[str, Any]) -> Callable[[Request], Any]:
    """The verdict, with what is known of earlier uploads."""
    return lambda request: verdict(request) | {"already_created": created}


def running(page: Page, api: FakeApi) -> None:
    """An upload on its way."""
    api.failed = rows()[:2]
    counts = {"total_hospitals": 400, "processed_hospitals": 245, "created_hospitals": 243, "failed_hospitals": 2}
    watch_live(page, api, job(file_name="region-north.csv", progress_percentage=61.2, eta_seconds=16.4) | counts)
    expect(page.locator("tbody tr")).to_have_count(2)


def failed(page: Page, api: FakeApi) -> None:
    """What failed, what can be done about it, and what has happened."""
    first, *others = rows()
    api.failed = [first | {"outcome_unknown": True, "attempts": 3, "error": "The directory did not answer."}, *others]
    api.failure_counts = [{"code": "rejected", "hospitals": 7}, {"code": "outcome_unknown", "hospitals": 1}]
    entry = {"at": "2026-03-01T09:30:00Z", "round": 1, "requested_by": "north"}
    api.entries = [entry | {"kind": "upload"}, entry | {"kind": "finished", "requested_by": None}]
    watch(page, api, refused(unknown_hospitals=1))
    page.get_by_text("What has happened", exact=True).click()
    expect(page.locator(".history tbody tr")).to_have_count(2)


def corrected(page: Page, api: FakeApi) -> None:
    """All is done, after a correction."""
    api.failed = rows(corrected=True)
    watch(page, api, refused(corrected_by=["0d9f2a1b-52f4-4f0e-9d4e-6f1c1f0e7c11"]) | AFTER)
    expect(page.locator(".headline")).to_have_text("All 80 hospitals are created, 8 of them after correction.")
    expect(page.locator("tbody tr")).to_have_count(8)


STATES = {
    "list": uploads,
    "reading": reading,
    "upload": errors,
    "before": created_before,
    "job": running,
    "failed": failed,
    "corrected": corrected,
}


@pytest.mark.parametrize("name", STATES)
def test_the_guide_shows_each_state(page: Page, api: FakeApi, name: str) -> None:
    """It can be reached, and nothing is wider than the screen; its pictures are there, and the guide names them."""
    STATES[name](page, api)
    page.mouse.move(0, 0)
    guide = (DOCS / "clerk.md").read_text("utf-8")
    for end, (width, colours) in LOOKS.items():
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if folder := os.environ.get("PICTURES"):
            page.evaluate(FLAT)
            page.evaluate(DRAWN)
            page.screenshot(path=DOCS.parent / folder / f"page-{name}{end}.png", full_page=True)
        assert f"(page-{name}{end}.png)" in guide
        assert (DOCS / f"page-{name}{end}.png").is_file()
