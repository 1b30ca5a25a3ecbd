"""A cancel that was asked for stays to be seen: after a reload, on another computer, and in the list."""

from playwright.sync_api import Page, expect

from tests.page.fake_api import JOB_ID, FakeApi, job
from tests.page.test_job import watch_live
from tests.page.test_job_actions import press
from tests.page.test_words import CANCELLED

SINCE = "2026-03-01T09:30:02Z"


def expect_cancelling(page: Page) -> None:
    expect(page.locator(".chip")).to_have_text("Cancelling")
    expect(page.get_by_text("Cancelling: rows that are on their way are waited for.")).to_be_visible()
    expect(page.get_by_role("button", name="Cancelling …")).to_be_disabled()


def test_who_reloads_the_page_sees_that_the_job_is_being_cancelled(page: Page, api: FakeApi) -> None:
    """Also who did not press the button; pressing it changes nothing. It ends as cancelled jobs do."""
    watch_live(page, api, job(cancel_requested_at=SINCE))
    expect_cancelling(page)
    page.reload()
    expect_cancelling(page)
    expect(page.locator(".story")).to_contain_text("What was not sent will not be sent")
    page.get_by_role("button", name="Cancelling …").click(force=True)
    expect(page.get_by_role("dialog")).to_have_count(0)
    api.states[0] = CANCELLED
    api.events.append(CANCELLED)
    expect(page.locator(".chip")).to_have_text("Cancelled")
    expect(page.get_by_text("Cancelling")).to_have_count(0)
    assert not api.to(f"jobs/{JOB_ID}/cancel")


def test_the_button_says_so_before_the_service_has_read_it_back(page: Page, api: FakeApi) -> None:
    """And a retry of the cancelled job can be cancelled again."""
    watch_live(page, api, job())
    press(page, "Cancel the upload")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_role("button", name="Cancelling …")).to_be_disabled()
    api.states[0] = CANCELLED
    api.events.append(CANCELLED)
    expect(page.locator(".chip")).to_have_text("Cancelled")
    api.events = [job()]
    api.states[0] = job()
    press(page, "Send the 10 unsent rows")
    expect(page.get_by_role("button", name="Cancel the upload")).to_be_enabled()


def test_the_list_says_so(page: Page, api: FakeApi) -> None:
    """Beside those that run."""
    api.listed = [job("a", cancel_requested_at=SINCE), job("b")]
    page.goto(api.url)
    expect(page.locator(".jobs .chip")).to_have_text(["Cancelling", "Running"])


def test_a_cancel_that_came_too_late_is_no_state(page: Page, api: FakeApi) -> None:
    """Every row has its result: nothing is left to be cancelled, only to be counted."""
    api.listed = [job("a", cancel_requested_at=SINCE, processed_hospitals=40)]
    page.goto(api.url)
    expect(page.locator(".jobs .chip")).to_have_text(["Running"])
