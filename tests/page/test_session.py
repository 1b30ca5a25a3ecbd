"""Signing in, where the service wants an API key."""

from playwright.sync_api import Page, expect

from tests.page.fake_api import JOB_ID, FakeApi, ended, job
from tests.page.test_upload import CSV, press


def test_the_key_is_asked_for_and_the_work_goes_on(page: Page, api: FakeApi) -> None:
    """401: a dialog, a second chance; then the list is there, and the upload goes its way."""
    api.key = "secret"
    page.goto(api.url)
    field = page.get_by_role("textbox", name="API key")
    expect(field).to_be_focused()
    field.fill("wrong \N{KEY}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This key was not accepted.")).to_be_visible()
    field.fill("secret")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No uploads yet.")).to_be_visible()
    page.set_input_files("#file", CSV)
    press(page, "Upload 25 hospitals")
    page.wait_for_url("**/#/jobs/*")


def test_no_script_can_read_the_key(page: Page, api: FakeApi) -> None:
    """It is in the service's own cookie, and nowhere else."""
    sign_in(page, api)
    assert page.evaluate("document.cookie + localStorage.length + sessionStorage.length") == "00"
    [cookie] = page.context.cookies()
    assert (cookie["value"], cookie["httpOnly"], cookie["sameSite"]) == ("secret", True, "Strict")


def test_a_session_lasts_until_one_signs_out(page: Page, api: FakeApi) -> None:
    """A page that is opened again asks nothing; after signing out it does."""
    sign_in(page, api)
    page.reload()
    expect(page.get_by_text("Signed in as north")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)
    press(page, "Sign out")
    expect(page.get_by_role("textbox", name="API key")).to_be_visible()
    assert page.context.cookies() == []


def test_a_session_that_ends_while_a_job_is_watched_is_asked_for_again(page: Page, api: FakeApi) -> None:
    """Streams and downloads go by the cookie too; the page goes on where it was."""
    sign_in(page, api)
    api.events, api.states[0] = [], job()
    page.goto(f"{api.url}/#/jobs/{JOB_ID}")
    expect(page.locator(".headline")).to_have_text("25 %")
    page.context.clear_cookies()
    api.states[0] = ended()
    api.events.append(ended())
    page.get_by_role("textbox", name="API key").fill("secret")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text("Completed")


def test_where_no_key_is_needed_nobody_is_greeted(page: Page, api: FakeApi) -> None:
    """There is nothing to sign out of."""
    page.goto(api.url)
    expect(page.get_by_text("No uploads yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


def sign_in(page: Page, api: FakeApi) -> None:
    """Opens the page and signs in."""
    api.key = "secret"
    page.goto(api.url)
    page.get_by_role("textbox", name="API key").fill("secret")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Signed in as north")).to_be_visible()
