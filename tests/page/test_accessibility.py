"""What axe-core says of the page, in each state, by day and by night, wide and narrow."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.fake_api import JOB_ID, FakeApi, ended, good, job
from tests.page.test_job import failures
from tests.page.test_upload import CSV

LONG = "a-very-long-file-name-without-any-space-that-somebody-exported-on-a-friday-evening.csv"


def choosing(page: Page, api: FakeApi) -> None:
    states = [job("a"), job("b", status="pending"), ended("c"), ended("d", failed=4), ended("e", activated=False)]
    api.listed = [*states, ended("f", failed=40, file_name=LONG) | {"status": "failed", "outcome": "none_created"}]
    page.goto(api.url)
    expect(page.locator(".jobs li")).to_have_count(6)


def errors(page: Page, api: FakeApi) -> None:
    found = [{"row": n, "column": "address", "message": "The address is missing."} for n in range(2, 40)]
    api.verdicts[0] = good(valid=False, errors=found)
    page.goto(api.url)
    page.set_input_files("#file", {**CSV, "name": LONG})
    expect(page.locator("tbody tr")).to_have_count(38)


def same_file(page: Page, api: FakeApi) -> None:
    api.verdicts[0] = good(same_file_as=[{"job_id": "earlier", "created_at": "2026-03-01T09:30:00Z"}])
    page.goto(api.url)
    page.set_input_files("#file", {**CSV, "name": LONG})
    expect(page.get_by_role("heading", name="Upload the same file again?")).to_be_visible()


def running(page: Page, api: FakeApi) -> None:
    api.failed = failures(3)
    api.states[0] = job(failed_hospitals=3, processed_hospitals=13, waiting_for="rate_limit", file_name=LONG)
    page.goto(f"{api.url}/#/jobs/{JOB_ID}")
    expect(page.locator("tbody tr")).to_have_count(3)


def not_activated(page: Page, api: FakeApi) -> None:
    api.states[0] = ended(activated=False, error="The directory did not activate the hospitals: closed.")
    page.goto(f"{api.url}/#/jobs/{JOB_ID}")
    expect(page.get_by_role("button", name="Activate all hospitals")).to_be_visible()


def key_wanted(page: Page, api: FakeApi) -> None:
    api.key = "secret"
    page.goto(api.url)
    expect(page.get_by_role("textbox", name="API key")).to_be_visible()


VIEWS = [choosing, errors, same_file, running, not_activated, key_wanted]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1100])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_stands_in_anybodys_way(page: Page, api: FakeApi, view: Any, width: int, scheme: Any) -> None:
    """No violation of WCAG A or AA or of axe's best practices, and nothing wider than the screen."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    view(page, api)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_moves_for_those_who_asked_for_stillness(page: Page, api: FakeApi) -> None:
    """prefers-reduced-motion: no transition is left."""
    page.emulate_media(reduced_motion="reduce")
    running(page, api)
    assert page.locator(".fill.created").evaluate("it => getComputedStyle(it).transitionDuration") == "0s"


def test_the_skip_link_leads_to_the_content_and_keeps_the_address(page: Page, api: FakeApi) -> None:
    """The first Tab of the page."""
    running(page, api)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page).to_have_url(f"{api.url}/#/jobs/{JOB_ID}")
