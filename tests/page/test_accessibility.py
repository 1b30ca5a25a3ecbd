"""What axe-core says of the page, in each state, by day and by night, wide and narrow.

Everything is asked by day on a wide screen. What depends on colours is asked by night again, and what depends on the
width on a phone: the rest of the rules sees no difference.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_api import JOB_ID, FakeApi, ended, failures, finding, job, valid
from tests.page.test_job import watch, watch_live
from tests.page.test_upload import CSV

LONG = "a-very-long-file-name-without-any-space-that-somebody-exported-on-a-friday-evening.csv"
AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text()
EVERYTHING: dict[str, Any] = {}
BY_NIGHT = {"runOnly": ["color-contrast"]}
ON_A_PHONE = {"runOnly": ["target-size", "scrollable-region-focusable", "meta-viewport"]}
PHONE: Any = {"width": 400, "height": 800}
#: axe cannot tell what stands on a gradient: everything stands on its strongest colour instead.
FLAT = "document.documentElement.style.background = 'var(--glow)'"


def choosing(page: Page, api: FakeApi) -> None:
    states = [job("a"), job("b", status="pending"), ended("c"), ended("d", failed=4), ended("e", activated=False)]
    api.listed = [*states, ended("f", failed=40, file_name=LONG) | {"status": "failed", "outcome": "none_created"}]
    page.goto(api.url)
    expect(page.locator(".jobs li")).to_have_count(6)


def chosen(page: Page, api: FakeApi, **verdict: Any) -> None:
    api.validations[0] = valid(**verdict)
    page.goto(api.url)
    page.set_input_files("#file", {**CSV, "name": LONG})


def errors(page: Page, api: FakeApi) -> None:
    found = [finding(n, "address", "missing_value", "The address is missing.") for n in range(2, 40)]
    twins = [finding(40, None, "duplicate_row", "The same hospital as in row 2.")]
    footer = [finding(41, "name", "footer", "'Total' looks like a line below the list.", "Total")]
    chosen(page, api, valid=False, errors=[*found, *twins], warnings=footer)
    expect(page.locator(".wrong-row")).to_have_count(22)
    page.locator(".fields input").first.fill("Better Hope")
    expect(page.get_by_role("button", name="Check again with 1 corrected row")).to_be_visible()
    page.get_by_text("Read it another way").click()


def no_column(page: Page, api: FakeApi) -> None:
    missing = [finding(1, "address", "missing_column", "No column looks like the address.")]
    nothing: Any = {"mapping": None, "header_row": None, "delimiter": None, "sample": []}
    chosen(page, api, valid=False, errors=missing, **nothing)
    expect(page.get_by_role("heading", name="How it was read")).to_be_visible()


def unread(page: Page, api: FakeApi) -> None:
    nothing: Any = {"mapping": None, "header_row": None, "delimiter": None, "sample": [], "encoding": None}
    guesses = [
        {"encoding": "windows-1252", "sample": "M\u00fcnchen"},
        {"encoding": "macintosh", "sample": "M\u00b8nchen"},
    ]
    unknown = [finding(None, None, "unknown_encoding", "The file is not UTF-8.")]
    chosen(page, api, valid=False, errors=unknown, encoding_guesses=guesses, **nothing)
    expect(page.locator(".guesses button")).to_have_count(2)


def warned(page: Page, api: FakeApi) -> None:
    chosen(page, api, warnings=[finding(2, "name", "footer", "'Total' looks like a line below the list.", "Total")])
    expect(page.locator(".fields input")).not_to_have_count(0)


def ready(page: Page, api: FakeApi) -> None:
    chosen(page, api)
    expect(page.locator(".tiles")).to_be_visible()


def same_file(page: Page, api: FakeApi) -> None:
    chosen(page, api, same_file_as=[{"job_id": "earlier", "created_at": "2026-03-01T09:30:00Z"}])
    expect(page.get_by_role("heading", name="Upload the same file again?")).to_be_visible()


def created_before(page: Page, api: FakeApi) -> None:
    rows = [{"row": 2, "job_id": "earlier", "job_row": 7}]
    chosen(page, api, already_created={"count": 3, "rows": rows}, corrects="earlier")
    expect(page.get_by_role("heading", name="Create 3 hospitals a second time?")).to_be_visible()


def attention(page: Page, api: FakeApi) -> None:
    api.listed = [ended("a", failed=8, unknown_hospitals=3), ended("b", failed=4, corrected_hospitals=1)]
    page.goto(f"{api.url}/#/?show=attention")
    expect(page.locator(".jobs li")).to_have_count(2)


def running(page: Page, api: FakeApi) -> None:
    api.failed = failures(3)
    watch_live(page, api, job(failed_hospitals=3, processed_hospitals=13, waiting_for="rate_limit", file_name=LONG))
    expect(page.locator("tbody tr")).to_have_count(3)


def cancelling(page: Page, api: FakeApi) -> None:
    watch_live(page, api, job())
    page.get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def partly_failed(page: Page, api: FakeApi) -> None:
    api.failed = failures(3, outcome_unknown=True)
    api.failure_counts = [{"code": "rejected", "hospitals": 2}, {"code": "outcome_unknown", "hospitals": 1}]
    upload = {"at": "2026-03-01T09:30:00Z", "kind": "upload", "round": 1, "requested_by": "north"}
    api.entries = [upload, upload | {"kind": "retry", "codes": ["rejected"], "ignored": False}]
    watch(page, api, ended(failed=3, unknown_hospitals=1, file_name=LONG))
    expect(page.locator("#failed-title ~ * tbody tr")).to_have_count(3)
    expect(page.get_by_label("Which rows to try again")).to_be_visible()
    history = page.get_by_text("What has happened", exact=True)
    history.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".history tbody tr")).to_have_count(2)
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="What has happened, one event a line")).to_be_focused()


def corrected(page: Page, api: FakeApi) -> None:
    api.failed = failures(3, corrected=True)
    after = {"outcome": "all_created_after_correction", "corrected_hospitals": 3, "activated": True}
    watch(page, api, ended(failed=3, corrected_by=["job-2"]) | after)
    expect(page.locator("tbody tr")).to_have_count(3)


def resolving(page: Page, api: FakeApi) -> None:
    partly_failed(page, api)
    page.get_by_role("button", name="Resolve row 2").click()
    page.get_by_role("button", name="Resolve the row").click()
    expect(page.get_by_text("Write the number")).to_be_visible()


def not_activated(page: Page, api: FakeApi) -> None:
    watch(page, api, ended(activated=False, error="The directory did not activate the hospitals: closed."))
    expect(page.get_by_role("button", name="Activate all hospitals")).to_be_visible()


def key_wanted(page: Page, api: FakeApi) -> None:
    api.key = "secret"
    page.goto(api.url)
    page.get_by_role("textbox", name="API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This key was not accepted.")).to_be_visible()


VIEWS = [
    choosing,
    errors,
    no_column,
    unread,
    warned,
    ready,
    same_file,
    created_before,
    attention,
    running,
    cancelling,
    partly_failed,
    corrected,
    resolving,
    not_activated,
    key_wanted,
]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_stands_in_anybodys_way(page: Page, api: FakeApi, view: Callable[[Page, FakeApi], None]) -> None:
    """No violation of WCAG A or AA or of axe's best practices, and nothing wider than a phone's screen."""
    view(page, api)
    page.evaluate(AXE)
    page.evaluate(FLAT)
    assert violations(page, EVERYTHING) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert violations(page, BY_NIGHT) == []
    page.set_viewport_size(PHONE)
    assert violations(page, ON_A_PHONE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """Each with where it was found."""
    found = page.evaluate("options => axe.run(document, { ...options, resultTypes: ['violations'] })", options)
    return [
        f"{each['id']}: {node['html']}: {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def test_nothing_moves_for_those_who_asked_for_stillness(page: Page, api: FakeApi) -> None:
    """prefers-reduced-motion: no transition is left."""
    running(page, api)
    duration = "it => getComputedStyle(it).transitionDuration"
    assert page.locator(".fill.created").evaluate(duration) == "0s"
    page.emulate_media(reduced_motion="no-preference")
    assert page.locator(".fill.created").evaluate(duration) == "0.6s"


def test_the_skip_link_leads_to_the_content_and_keeps_the_address(page: Page, api: FakeApi) -> None:
    """The first Tab of the page."""
    running(page, api)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page).to_have_url(f"{api.url}/#/jobs/{JOB_ID}")
