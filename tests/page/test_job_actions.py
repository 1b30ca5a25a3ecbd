"""What a person can do about a job: cancel, try again, activate, resolve."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from starlette.responses import JSONResponse

from shared.runtime.http.problems import Problem
from tests.page.fake_api import JOB_ID, FakeApi, ended, failures, job
from tests.page.test_job import watch, watch_live
from tests.page.test_words import CANCELLED


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def test_a_cancel_is_asked_about_first(page: Page, api: FakeApi) -> None:
    """What stays is said; Enter in haste, Escape and the other button all change nothing; the focus goes back."""
    watch_live(page, api, job())
    leave: list[Callable[[], None]] = [
        lambda: page.keyboard.press("Enter"),
        lambda: page.keyboard.press("Escape"),
        lambda: press(page, "Let it go on"),
    ]
    for each in leave:
        press(page, "Cancel the upload")
        expect(page.get_by_role("dialog", name="Cancel this upload?")).to_contain_text(
            "10 hospitals are created already."
        )
        expect(page.get_by_role("dialog")).to_contain_text("There is no undo")
        expect(page.get_by_role("button", name="Let it go on")).to_be_focused()
        each()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="Cancel the upload")).to_be_focused()
    assert not api.to(f"jobs/{JOB_ID}/cancel")


def test_a_cancelled_job_says_what_became_of_it(page: Page, api: FakeApi) -> None:
    """Rows on their way are waited for; then the numbers, and that nothing of it is activated."""
    watch_live(page, api, job())
    press(page, "Cancel the upload")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_text("Cancelling: rows that are on their way are waited for.")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel the upload")).to_be_hidden()
    api.states[0] = CANCELLED
    api.events.append(CANCELLED)
    expect(page.locator(".chip")).to_have_text("Cancelled")
    expect(page.locator(".headline")).to_have_text(
        "Cancelled: 30 of 40 hospitals were created, 0 failed, 10 were not sent."
    )
    expect(page.locator(".consequence")).to_contain_text("not activated, because the upload was cancelled")
    expect(page.get_by_text("Cancelling:")).to_have_count(0)
    assert len(api.to(f"jobs/{JOB_ID}/cancel")) == 1


def test_a_cancel_that_comes_too_late_says_so(page: Page, api: FakeApi) -> None:
    """409: the job ended in between, and the page shows how."""
    watch_live(page, api, job())
    api.cancels[0] = Problem(409, "job_ended", "The job has ended (completed).").response()
    press(page, "Cancel the upload")
    api.states[0] = ended()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_text("The job has ended (completed).")).to_be_visible()
    expect(page.locator(".chip")).to_have_text("Completed")


def test_failed_rows_are_tried_again(page: Page, api: FakeApi) -> None:
    """The page waits for the new round to begin, and watches it to its end."""
    api.failed = failures(3)
    watch(page, api, ended(failed=3), ended(failed=3), job(processed_hospitals=37, created_hospitals=37), ended())
    press(page, "Try 3 failed rows again")
    expect(page.locator(".chip")).to_have_text("Running")
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.get_by_role("heading", name="Rows that failed")).to_be_hidden()
    assert len(api.to(f"jobs/{JOB_ID}/retry")) == 1


def test_rows_that_failed_for_one_reason_are_tried_again_alone(page: Page, api: FakeApi) -> None:
    """Chosen by their number and why; where all failed alike there is no choice."""
    api.failed = failures(3)
    api.failure_counts = [{"code": "rejected", "hospitals": 2}, {"code": "unprocessed", "hospitals": 1}]
    watch(page, api, ended(failed=3), ended(failed=3), job())
    choice = page.get_by_label("Which rows to try again")
    expect(choice.get_by_role("option")).to_have_text(
        ["all 3 rows", "2 rows the directory refused", "1 row that was not sent"]
    )
    expect(page.get_by_role("button", name="Try 3 failed rows again")).to_be_visible()
    choice.select_option("rejected")
    press(page, "Try the chosen rows again")
    expect(page.locator(".chip")).to_have_text("Running")
    expect(choice).to_be_hidden()
    assert [json.loads(body) for body in api.bodies(f"jobs/{JOB_ID}/retry")] == [{"codes": ["rejected"]}]


def test_a_corrected_upload_tells_the_whole_story(page: Page, api: FakeApi) -> None:
    """What is open, which upload corrects it, what is not active yet; then that all is."""
    partly = ended(failed=8, corrected_hospitals=3, corrected_by=["job-2", "job-3"])
    api.failed = [failures(1, corrected=True)[0], *failures(2)[1:]]
    watch_live(page, api, partly)
    expect(page.locator(".chain")).to_have_text("Corrected by upload job-2. Corrected by upload job-3. ")
    expect(page.locator(".chain").get_by_role("link", name="job-3")).to_have_attribute("href", "#/jobs/job-3")
    expect(page.locator(".consequence")).to_contain_text("They become active when all rows are created, also by a")
    expect(page.get_by_role("button", name="Try 5 open rows again")).to_be_visible()
    expect(page.locator("tbody tr").first).to_contain_text("stands in a correction")
    expect(page.locator("tbody tr").last).not_to_contain_text("stands in a correction")

    whole = partly | {"outcome": "all_created_after_correction", "corrected_hospitals": 8}
    api.states[0] = whole
    page.reload()
    expect(page.locator(".chip")).to_have_text("Activating")
    expect(page.locator(".headline")).to_have_text("All 40 hospitals are created, 8 of them after correction.")
    expect(page.locator(".consequence")).to_have_text("They are being activated now.")
    expect(page.get_by_role("button", name="open rows again")).to_be_hidden()
    expect(page.get_by_role("button", name="corrected file")).to_be_hidden()
    numbers = page.locator(".tally > div:visible")
    expect(numbers).to_have_text(["Created32", "After correction8", "Failed0", "Not sent0"])
    expect(page.locator(".file", has_text="failed.csv")).to_have_text("failed.csv8 rows, with reasons")
    api.states[0] = whole | {"activated": True}
    page.reload()
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.get_by_role("button", name="Activate")).to_be_hidden()


def test_what_has_happened_is_told_when_somebody_asks(page: Page, api: FakeApi) -> None:
    """With who did it; the service itself where nobody did. It is read only then."""
    entry = {"at": "2026-03-01T09:30:00Z", "round": 1, "requested_by": "north"}
    api.entries = [
        entry | {"kind": "retry", "codes": ["rejected", "outcome_unknown"], "ignored": False},
        entry | {"kind": "cancel", "reason": "max_failures", "requested_by": None},
        entry | {"kind": "resolve", "row": 4, "hospital_id": 77},
    ]
    watch(page, api, ended(failed=3))
    assert not api.to(f"jobs/{JOB_ID}/history")
    page.get_by_text("What has happened").click()
    rows = page.locator(".history tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Tried again: rows the directory refused, rows that are unconfirmed")
    expect(rows.last).to_contain_text("Stopped, since more rows failed than the upload allows")
    expect(rows.last).to_contain_text("the service itself")
    page.locator(".history").get_by_role("button", name="Show more").click()
    expect(rows.last).to_contain_text("Row 4 resolved: it is hospital 77")
    expect(rows.last).to_contain_text("north")


def test_a_retry_that_has_to_wait_is_repeated_by_itself(page: Page, api: FakeApi) -> None:
    """A job that was just cancelled is still being wound up: the page says so, and asks again."""
    waits = Problem(409, "job_winding_up", "The cancelled job is still being wound up.", retry_after=1).response()
    api.retries.extendleft([waits])
    stopped = CANCELLED | {"failed_hospitals": 2, "unprocessed_hospitals": 8}
    watch(page, api, stopped, stopped, job(), ended())
    press(page, "Try 2 failed and 8 unsent again")
    expect(page.get_by_text("The cancelled upload is still ending.")).to_be_visible()
    expect(page.locator(".chip")).to_have_text("Completed")
    assert len(api.to(f"jobs/{JOB_ID}/retry")) == 2


def test_a_retry_that_is_refused_says_why(page: Page, api: FakeApi) -> None:
    """The service's words; the button stays."""
    api.retries[0] = Problem(409, "nothing_to_retry", "The rows that failed could not be read.").response()
    watch(page, api, ended(failed=4))
    press(page, "Try 4 failed rows again")
    expect(page.get_by_text("The rows that failed could not be read.")).to_be_visible()
    expect(page.get_by_role("button", name="Try 4 failed rows again")).to_be_enabled()


def test_what_was_not_activated_is_activated_by_hand(page: Page, api: FakeApi) -> None:
    """Every batch is asked for once, and the job is looked at again."""
    why = "The directory did not activate: no"
    watch(page, api, ended(activated=False, batch_ids=["batch-1", "batch-2"], error=why))
    expect(page.locator(".job .notice.bad")).to_have_text(why)
    api.states[0] = ended()
    press(page, "Activate all hospitals")
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.get_by_role("button", name="Activate all hospitals")).to_be_hidden()
    paths = [path for path in api.requests if "batch" in path]
    assert paths == [f"/api/v1/hospitals/bulk/batch/batch-{n}/activate" for n in (1, 2)]


def test_part_of_a_job_is_activated_only_when_it_is_meant(page: Page, api: FakeApi) -> None:
    """Not all were created, so somebody has to say that these will do."""
    watch(page, api, ended(failed=4))
    press(page, "Activate the 36 created")
    page.keyboard.press("Escape")
    press(page, "Activate the 36 created")
    page.get_by_role("button", name="Activate", exact=True).click()
    expect(page.get_by_text("Done.")).to_be_visible()
    assert len(api.to("bulk/batch/batch-1/activate")) == 1


def test_a_refused_activation_shows_the_directorys_words(page: Page, api: FakeApi) -> None:
    """And the button stays."""
    words = "The directory did not activate the batch: closed"
    api.activations[0] = Problem(502, "activation_failed", words).response()
    watch(page, api, ended(activated=False))
    press(page, "Activate all hospitals")
    expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_role("button", name="Activate all hospitals")).to_be_enabled()


def test_an_activation_that_takes_long_is_said_to_go_on(page: Page, api: FakeApi) -> None:
    """202 is no failure."""
    api.activations[0] = JSONResponse({"activated": False}, 202)
    watch(page, api, ended(activated=False))
    press(page, "Activate all hospitals")
    expect(page.get_by_text("The directory takes its time.")).to_be_visible()


@pytest.mark.parametrize(("written", "sent"), [("4711", "4711"), ("H-7", '"H-7"'), ("007", '"007"')])
def test_a_row_of_which_nobody_knows_is_resolved_with_its_number(
    page: Page, api: FakeApi, written: str, sent: str
) -> None:
    """A number goes as one, anything else as text; then the row is none of the failed any more."""
    api.failed = failures(1, outcome_unknown=True)
    watch(page, api, ended(failed=1))
    expect(page.get_by_text("1 row is unconfirmed.")).to_be_visible()
    press(page, "Resolve row 2")
    press(page, "Resolve the row")
    expect(page.get_by_text("Write the number that the hospital has in the directory.")).to_be_visible()
    page.get_by_label("Number in the directory").fill(written)
    api.failed, api.states[0] = [], ended()
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.get_by_role("heading", name="Rows that failed")).to_be_hidden()
    assert api.bodies(f"jobs/{JOB_ID}/rows/2/resolve") == [f'{{"hospital_id":{sent}}}']


def test_a_row_that_is_not_in_the_directory_is_resolved_so(page: Page, api: FakeApi) -> None:
    """It stays failed, with who said so, and is not asked about again."""
    api.failed = failures(1, outcome_unknown=True)
    watch(page, api, ended(failed=1))
    press(page, "Resolve row 2")
    page.get_by_text("I looked: it is not there.").click()
    expect(page.get_by_label("Number in the directory")).to_be_disabled()
    press(page, "Resolve the row")
    expect(page.get_by_text("Being resolved")).to_be_visible()
    api.failed = failures(1, error="ann looked: it is not in the directory.")
    expect(page.locator("tbody tr")).to_contain_text("ann looked")
    expect(page.get_by_role("button", name="Resolve row 2")).to_have_count(0)
    assert api.bodies(f"jobs/{JOB_ID}/rows/2/resolve") == ['{"absent":true}']


def test_a_row_that_somebody_else_resolved_tells_so(page: Page, api: FakeApi) -> None:
    """409: the dialog says why, and nothing is lost of what was written."""
    api.failed = failures(1, outcome_unknown=True)
    api.resolutions[0] = Problem(409, "row_not_unknown", "Row 2 is created.").response()
    watch(page, api, ended(failed=1))
    press(page, "Resolve row 2")
    page.get_by_label("Number in the directory").fill("4711")
    press(page, "Resolve the row")
    expect(page.get_by_role("alert")).to_have_text("Row 2 is created.")
    expect(page.get_by_label("Number in the directory")).to_have_value("4711")
    press(page, "Not now")
    expect(page.get_by_role("button", name="Resolve row 2")).to_be_focused()
