"""Watching one job."""

from typing import Any

from playwright.sync_api import Page, expect
from starlette.responses import JSONResponse

from shared.problems import Problem, kafka_down
from tests.page.fake_api import JOB_ID, FakeApi, ended, job


def watch(page: Page, api: FakeApi, *states: Any) -> None:
    """Opens a job by its address."""
    api.states.clear()
    api.states.extend(states)
    page.goto(f"{api.url}/#/jobs/{JOB_ID}")


def failures(count: int) -> list[dict[str, Any]]:
    return [
        {
            "row": n + 2,
            "name": f"Hospital {n}",
            "status": "failed",
            "hospital_id": None,
            "attempts": 3,
            "error": f"No {n}",
        }
        for n in range(count)
    ]


def test_a_running_job_shows_how_far_it_is(page: Page, api: FakeApi) -> None:
    """The bar in numbers and in words, what is left, and the title of the tab."""
    watch(page, api, job())
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "25")
    expect(bar).to_have_attribute("aria-valuetext", "25 %: 10 of 40 hospitals")
    expect(page.get_by_text("About 30 seconds left")).to_be_visible()
    expect(page).to_have_title("25 % \N{EN DASH} hospitals.csv")


def test_the_pace_is_measured_while_one_looks(page: Page, api: FakeApi) -> None:
    """Hospitals a second, as seen from here."""
    steps = [job(processed_hospitals=n, created_hospitals=n, progress_percentage=2.5 * n) for n in range(10, 40, 4)]
    watch(page, api, *steps)
    expect(page.locator("p.numbers")).to_contain_text("a second", timeout=10_000)


def test_a_job_is_followed_to_its_end(page: Page, api: FakeApi) -> None:
    """Then it is not asked about any more."""
    watch(page, api, job(), ended())
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.locator("#announcements")).to_have_text("All 40 hospitals are created and activated.")
    expect(page.get_by_text("Took 4 seconds, 10 a second")).to_be_visible()
    asked = len(api.asked[f"/api/v1/hospitals/status/{JOB_ID}"])
    page.wait_for_timeout(2_500)
    assert len(api.asked[f"/api/v1/hospitals/status/{JOB_ID}"]) == asked == 2


def test_the_reason_to_wait_is_in_plain_words(page: Page, api: FakeApi) -> None:
    """And goes away with the reason."""
    watch(page, api, job(waiting_for="rate_limit"), job(processed_hospitals=11, created_hospitals=11))
    expect(page.get_by_text("The directory asks us to slow down.").first).to_be_visible()
    expect(page.locator(".notice.busy")).to_be_hidden()


def test_an_outage_is_told_and_ends_by_itself(page: Page, api: FakeApi) -> None:
    """What was known stays on the screen meanwhile."""
    watch(page, api, job(), kafka_down().response(), ended())
    expect(page.get_by_text("This page keeps trying")).to_be_visible()
    expect(page.get_by_text("10 of 40 hospitals, 25 %")).to_be_visible()
    expect(page.locator(".chip")).to_have_text("Completed", timeout=10_000)
    expect(page.get_by_text("This page keeps trying")).to_be_hidden()


def test_a_job_that_is_not_there_is_said_to_be_none(page: Page, api: FakeApi) -> None:
    """A wrong link is no riddle."""
    watch(page, api, Problem(404, "not_found", "No such job.").response())
    expect(page.locator(".notice.bad")).to_contain_text("There is no upload with this number.")


def test_failed_rows_are_read_page_by_page(page: Page, api: FakeApi) -> None:
    """Row, hospital, reason; the keyboard goes on with the first of the new ones."""
    api.failed = failures(70)
    watch(page, api, ended(failed=40))
    lines = page.locator("tbody tr")
    expect(lines).to_have_count(50)
    expect(lines.first).to_have_text("2Hospital 0No 03")
    page.get_by_role("button", name="Show more").click()
    expect(lines).to_have_count(70)
    expect(lines.nth(50)).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_rows_that_fail_later_join_the_table(page: Page, api: FakeApi) -> None:
    """The table follows the count."""
    api.failed = failures(1)
    watch(page, api, job(failed_hospitals=1))
    expect(page.locator("tbody tr")).to_have_count(1)
    api.failed = failures(3)
    api.states.append(ended(failed=3))
    expect(page.locator("tbody tr")).to_have_count(3)


def test_what_was_not_activated_is_activated_by_hand(page: Page, api: FakeApi) -> None:
    """Every batch is asked for once, and the job is looked at again."""
    watch(
        page, api, ended(activated=False, batch_ids=["batch-1", "batch-2"], error="The directory did not activate: no")
    )
    expect(page.locator(".notice.bad").nth(1)).to_have_text("The directory did not activate: no")
    api.states[0] = ended()
    page.get_by_role("button", name="Activate all hospitals").click()
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.get_by_role("button", name="Activate all hospitals")).to_be_hidden()
    asked = [path for path in api.asked if "batch" in path]
    assert asked == [f"/api/v1/hospitals/bulk/batch/batch-{n}/activate" for n in (1, 2)]


def test_a_refused_activation_shows_the_directorys_words(page: Page, api: FakeApi) -> None:
    """And the button stays."""
    api.activations[0] = Problem(
        502, "activation_failed", "The directory did not activate the batch: closed"
    ).response()
    watch(page, api, ended(activated=False))
    page.get_by_role("button", name="Activate all hospitals").click()
    expect(page.get_by_text("The directory did not activate the batch: closed")).to_be_visible()
    expect(page.get_by_role("button", name="Activate all hospitals")).to_be_enabled()


def test_an_activation_that_takes_long_is_said_to_go_on(page: Page, api: FakeApi) -> None:
    """202 is no failure."""
    api.activations[0] = JSONResponse({"activated": False}, 202)
    watch(page, api, ended(activated=False))
    page.get_by_role("button", name="Activate all hospitals").click()
    expect(page.get_by_text("The directory takes its time.")).to_be_visible()


def test_only_milestones_are_said_aloud(page: Page, api: FakeApi) -> None:
    """A screen reader hears quarters, not every row."""
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
            window.said = [];
            const place = document.getElementById("announcements");
            new MutationObserver(() => window.said.push(place.textContent)).observe(place, { childList: true });
        })"""
    )
    steps = [job(processed_hospitals=n, created_hospitals=n, progress_percentage=2.5 * n) for n in (10, 11, 12, 13, 20)]
    watch(page, api, *steps, ended())
    expect(page.locator(".chip")).to_have_text("Completed", timeout=15_000)
    done = "All 40 hospitals are created and activated."
    assert page.evaluate("window.said") == ["25 % done.", "50 % done.", done]
