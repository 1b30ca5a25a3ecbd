"""Watching one job."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from services.status.model.eta import WaitingFor
from shared.runtime.http.problems import Problem, kafka_down
from tests.page.fake_api import JOB_ID, FakeApi, ended, failures, job


def watch(page: Page, api: FakeApi, *states: Any) -> None:
    """Opens a job by its address; it is asked about again and again, since there is no stream."""
    api.states.clear()
    api.states.extend(states)
    page.goto(f"{api.url}/#/jobs/{JOB_ID}")


def watch_live(page: Page, api: FakeApi, *states: Any) -> None:
    """The same with a stream that tells these states; `api.events` takes more."""
    api.events = [*states]
    watch(page, api, states[0] if states else job())


def progressed(done: int, **changes: Any) -> dict[str, Any]:
    return job(processed_hospitals=done, created_hospitals=done, progress_percentage=2.5 * done, **changes)


def polls(api: FakeApi) -> int:
    """How often the page asked for the status."""
    return len(api.to(f"status/{JOB_ID}"))


def test_a_running_job_shows_how_far_it_is(page: Page, api: FakeApi) -> None:
    """The bar in numbers and in words, what is left, and the title of the tab."""
    watch_live(page, api, job())
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "25")
    expect(bar).to_have_attribute("aria-valuetext", "25 %: 10 of 40 hospitals")
    expect(page.locator(".headline")).to_have_text("25 %")
    expect(page.locator(".standing .numbers")).to_have_text("10 of 40 hospitals, about 30 seconds left")
    expect(page.locator(".throughput")).to_have_text("1 a second")
    numbers = page.locator(".tally > div:visible")
    expect(numbers).to_have_text(["Created10", "Failed0", "Not sent0", "Still to do30"])
    expect(page).to_have_title("25 % \N{EN DASH} hospitals.csv")


def test_the_throughput_is_measured_while_the_page_is_open(page: Page, api: FakeApi) -> None:
    """Hospitals a second, as seen from here, when the service does not know yet how long it will take."""
    watch_live(page, api, progressed(10, eta_seconds=None))
    expect(page.locator(".standing .numbers")).to_have_text("10 of 40 hospitals")
    expect(page.locator(".throughput")).to_have_text("")
    page.wait_for_timeout(1100)
    api.events.append(progressed(30, eta_seconds=None))
    expect(page.locator(".throughput")).to_contain_text("a second")
    expect(page.locator(".throughput-line")).to_be_hidden()
    for done in range(31, 40):
        page.wait_for_timeout(500)
        api.events.append(progressed(done, eta_seconds=None))
    expect(page.locator(".throughput-line")).to_be_visible()


def test_a_job_is_followed_to_its_end_by_its_stream(page: Page, api: FakeApi) -> None:
    """The whole answer is asked for at the beginning and at the end only; then nothing is asked any more."""
    watch_live(page, api, job())
    expect(page.locator(".headline")).to_have_text("25 %")
    api.events.append(progressed(20))
    expect(page.locator(".headline")).to_have_text("50 %")
    api.states.append(ended())
    api.states.popleft()
    api.events.append(ended())
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.locator("#announcements")).to_have_text("All 40 hospitals are created and activated.")
    expect(page.get_by_text("Took 4 seconds, 10 a second")).to_be_visible()
    page.wait_for_timeout(1500)
    assert (polls(api), len(api.to(f"jobs/{JOB_ID}/events"))) == (2, 1)


def test_where_there_is_no_stream_it_asks_again_and_again(page: Page, api: FakeApi) -> None:
    """A proxy in between may know nothing of streams."""
    watch(page, api, job(), progressed(20), ended())
    expect(page.locator(".chip")).to_have_text("Completed")
    page.wait_for_timeout(1500)
    assert polls(api) == 3


def test_a_stream_that_breaks_is_taken_up_again(page: Page, api: FakeApi) -> None:
    """The browser comes back with the last that it heard, and nothing is missed meanwhile."""
    watch_live(page, api, job())
    api.events.append(progressed(12))
    expect(page.locator(".headline")).to_have_text("30 %")
    api.events = [progressed(12), progressed(20)]
    expect(page.locator(".headline")).to_have_text("50 %")
    first, again = api.to(f"jobs/{JOB_ID}/events")
    assert (first.headers.get("last-event-id"), again.headers.get("last-event-id")) == (None, "2")


def test_a_stream_that_says_nothing_is_not_relied_on(page: Page, api: FakeApi) -> None:
    """A proxy may hold it back: then the page asks."""
    api.events = []
    watch(page, api, job(), ended())
    expect(page.locator(".chip")).to_have_text("Completed")


@pytest.fixture(scope="module")
def reasons() -> dict[str, str]:
    """Words that tell each reason to wait."""
    return {
        "rate_limit": "Sending at the allowed pace.",
        "directory_slow": "The directory is slow to answer.",
        "takeover": "A part of the service has stopped, and another takes over. No row is lost",
        "look_ups": "The last rows are being looked up in the directory.",
        "circuit_breaker": "The directory does not answer properly at the moment. No row is lost",
        "queue": "Other uploads are ahead of this one.",
        "no_processor": "no processor is running. No row is lost; the team that runs this service has to start one.",
        "paused": "Sending is paused by the team that runs this service.",
    }


def test_every_reason_to_wait_is_in_plain_words(page: Page, api: FakeApi, reasons: dict[str, str]) -> None:
    """And goes away with the reason. The page knows all; no throughput is shown meanwhile."""
    assert set(reasons) == set(WaitingFor) - {WaitingFor.ACTIVATION}, "the story tells of that one"
    watch_live(page, api, job())
    for reason, words in reasons.items():
        api.events.append(job(waiting_for=reason))
        expect(page.locator(".notice.busy")).to_contain_text(words)
        expect(page.locator(".throughput")).to_have_text("")
    api.events.append(job())
    expect(page.locator(".notice.busy")).to_be_hidden()


def test_an_outage_of_the_directory_tells_since_when_and_when_it_is_tried_again(page: Page, api: FakeApi) -> None:
    """And how many rows wait. Our own pace is none; a silence that the directory asked for is told as one."""
    moments = {"waiting_since": "2026-03-01T09:31:00Z", "next_try_at": "2026-03-01T09:32:00Z"}
    watch_live(page, api, job(waiting_for="circuit_breaker", **moments))
    notice = page.locator(".notice.busy")
    expect(notice).to_contain_text("Since 09:31; 30 rows wait; next try at 09:32.")
    api.events.append(job(waiting_for="rate_limit", next_try_at=moments["next_try_at"]))
    expect(notice).to_have_text("The directory asks us to slow down. We call it again at 09:32.")


def test_an_outage_is_told_and_ends_by_itself(page: Page, api: FakeApi) -> None:
    """What was known stays on the screen meanwhile."""
    outage = kafka_down().response()
    outage.headers["Retry-After"] = "1"
    watch(page, api, job(), outage, ended())
    expect(page.get_by_text("This page keeps trying")).to_be_visible()
    expect(page.locator(".headline")).to_have_text("25 %")
    expect(page.locator(".chip")).to_have_text("Completed")
    expect(page.get_by_text("This page keeps trying")).to_be_hidden()


def test_a_job_that_is_not_there_is_said_to_be_none(page: Page, api: FakeApi) -> None:
    """A wrong link is no riddle."""
    watch(page, api, Problem(404, "not_found", "No such job.").response())
    expect(page.locator(".facts + .notice.bad")).to_contain_text("There is no upload with this number.")


def test_failed_rows_are_read_page_by_page(page: Page, api: FakeApi) -> None:
    """Row, hospital, reason; the keyboard goes on with the first of the new ones."""
    api.failed = failures(70)
    watch(page, api, ended(failed=40))
    lines = page.locator("tbody tr")
    expect(lines).to_have_count(50)
    expect(lines.first).to_have_text("2Hospital 0No 0after 3 attempts")
    page.get_by_role("button", name="Show more").click()
    expect(lines).to_have_count(70)
    expect(lines.nth(50)).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_rows_that_fail_later_join_the_table(page: Page, api: FakeApi) -> None:
    """The table follows the count."""
    api.failed = failures(1)
    watch_live(page, api, job(failed_hospitals=1))
    expect(page.locator("tbody tr")).to_have_count(1)
    api.failed = failures(3)
    api.events.append(job(failed_hospitals=3))
    expect(page.locator("tbody tr")).to_have_count(3)


def test_a_hospital_may_be_called_what_it_likes(page: Page, api: FakeApi) -> None:
    """Markup stays text, and signs that turn the direction of writing turn their own text only."""
    name, reason = "<img src=x onerror=alert(1)>\u202egnp.exe", "<script>alert(2)</script>"
    api.failed = failures(1, name=name, error=reason, outcome_unknown=True)
    watch(page, api, ended(failed=1, file_name=f"{name}.csv"))
    expect(page.locator("tbody bdi")).to_have_text([name, reason])
    expect(page.locator("h1 bdi")).to_have_text(f"{name}.csv")
    page.get_by_role("button", name="Resolve row 2").click()
    expect(page.locator("dialog bdi")).to_have_text(name)
    expect(page.locator("main img, main script, dialog img, dialog script")).to_have_count(0)


def test_result_files_are_offered_as_far_as_there_are_rows(page: Page, api: FakeApi) -> None:
    """With how many rows are in each; the browser keeps them as the service names them."""
    watch(page, api, ended(failed=4))
    files = page.locator("a.file:visible")
    expect(files).to_have_text(
        [
            "successful.csv36 rows, with the directory's numbers",
            "failed.csv4 rows, with reasons, to correct and upload",
            "all.csv40 rows, with what became of each",
        ]
    )
    with page.expect_download() as download:
        files.nth(1).click()
    assert download.value.path().read_text() == "row\n2\n"
    [asked] = api.to(f"jobs/{JOB_ID}/failed.csv")
    assert asked.query_params["bom"] == "true", "Excel would take it for Windows-1252"
    workbooks = page.get_by_role("link", name="workbook")
    expect(workbooks).to_have_text([f"{name}.xlsx, a workbook" for name in ("successful", "failed", "all")])
    with page.expect_download() as download:
        workbooks.nth(1).click()
    assert len(api.to(f"jobs/{JOB_ID}/failed.xlsx")) == 1


def test_only_milestones_are_said_aloud(page: Page, api: FakeApi) -> None:
    """A screen reader hears quarters, not every row."""
    page.goto(api.url)
    page.evaluate(
        """() => {
            window.said = [];
            const place = document.getElementById("announcements");
            new MutationObserver(() => window.said.push(place.textContent)).observe(place, { childList: true });
        }"""
    )
    api.events = [progressed(n) for n in (10, 11, 12, 13, 20)]
    api.states[0] = progressed(10)
    page.evaluate(f"location.hash = '#/jobs/{JOB_ID}'")
    expect(page.locator(".headline")).to_have_text("50 %")
    api.states[0] = ended()
    api.events.append(ended())
    expect(page.locator(".chip")).to_have_text("Completed")
    done = "All 40 hospitals are created and activated."
    assert page.evaluate("window.said") == ["25 % done.", "50 % done.", done]
