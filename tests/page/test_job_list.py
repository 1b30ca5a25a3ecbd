"""The list of all uploads."""

from playwright.sync_api import Page, expect

from tests.page.fake_api import FakeApi, ended, job


def uploads(count: int) -> list[dict]:
    """Ended jobs, newest first."""
    return [
        ended(f"job-{n}", file_name=f"file-{n}.csv", created_at=f"2026-03-01T09:{59 - n:02}:00Z") for n in range(count)
    ]


def test_an_empty_list_says_so(page: Page, api: FakeApi) -> None:
    """Not a blank place."""
    page.goto(api.url)
    expect(page.get_by_text("No uploads yet. The first will appear here.")).to_be_visible()


def test_older_uploads_are_loaded_on_demand(page: Page, api: FakeApi) -> None:
    """Newest first, and a button for the rest."""
    api.listed = uploads(45)
    page.goto(api.url)
    entries = page.locator(".jobs li")
    expect(entries).to_have_count(20)
    expect(entries.first.get_by_role("link")).to_have_text("file-0.csv")
    page.get_by_role("button", name="Show older uploads").click()
    page.get_by_role("button", name="Show older uploads").click()
    expect(entries).to_have_count(45)
    expect(page.get_by_role("button", name="Show older uploads")).to_be_hidden()


def test_it_is_searched_by_file_name_or_number(page: Page, api: FakeApi) -> None:
    """By the service, so that it finds what is not on the screen as well; a search that finds nothing says so."""
    api.listed = uploads(45)
    page.goto(api.url)
    expect(page.locator(".jobs li")).to_have_count(20)
    page.get_by_label("Find").fill("FILE-44")
    expect(page.locator(".jobs .name")).to_have_text(["file-44.csv"])
    expect(page.get_by_text("1 of 1 upload found")).to_be_visible()
    page.get_by_label("Find").fill("elsewhere")
    expect(page.get_by_text("No upload is called “elsewhere”.")).to_be_visible()
    page.get_by_label("Find").fill("")
    expect(page.locator(".jobs li")).to_have_count(20)
    assert [request.query_params.get("q") for request in api.to("jobs")] == [None, "FILE-44", "elsewhere", None]


def test_it_is_filtered_by_state(page: Page, api: FakeApi) -> None:
    """Running only, say."""
    api.listed = [job("job-running", file_name="running.csv"), *uploads(3)]
    page.goto(api.url)
    expect(page.locator(".jobs li")).to_have_count(4)
    page.get_by_label("Show").select_option("Running")
    expect(page.locator(".jobs .name")).to_have_text(["running.csv"])


def test_it_shows_what_needs_attention(page: Page, api: FakeApi) -> None:
    """And says so when nothing does; an upload that is corrected, or whose rows nobody can tell of, says that."""
    after = {"outcome": "all_created_after_correction", "corrected_hospitals": 8, "activated": True}
    api.listed = [
        ended("job-a", failed=8, file_name="open.csv", unknown_hospitals=2, corrected_hospitals=1),
        ended("job-b", failed=8, file_name="whole.csv") | after,
        ended("job-c", file_name="new.csv", corrects="job-b"),
    ]
    page.goto(api.url)
    numbers = page.locator(".jobs .numbers")
    expect(numbers).to_have_text(
        [
            "32 of 40 hospitals created, 6 failed, 2 unconfirmed, 1 corrected",
            "40 hospitals created, 8 after correction",
            "40 hospitals created, a correction",
        ]
    )
    page.get_by_label("Show").select_option("Needs attention")
    expect(page.locator(".jobs .name")).to_have_text(["open.csv"])
    api.listed = []
    page.reload()
    expect(page.get_by_text("No upload needs attention")).to_be_visible()


def test_what_was_looked_for_survives_a_reload_and_the_way_back(page: Page, api: FakeApi) -> None:
    """It is part of the address, so that it can be kept and sent; the list as a whole is one click away."""
    api.listed = [job("job-running", file_name="file-0 running.csv"), *uploads(3)]
    page.goto(api.url)
    page.get_by_label("Find").fill("file-0")
    page.get_by_label("Show").select_option("Running")
    expect(page).to_have_url(f"{api.url}/#/?q=file-0&show=running")
    found = page.locator(".jobs .name")
    ways = [page.reload, page.go_back, page.get_by_role("link", name="All uploads").click]
    for way in ways:
        if way != page.reload:
            found.click()
            expect(page.locator("#job-title")).to_be_visible()
        way()
        expect(page.get_by_label("Find")).to_have_value("file-0")
        expect(page.get_by_label("Show")).to_have_value("running")
        expect(found).to_have_text(["file-0 running.csv"])
    page.get_by_role("link", name="Hospital bulk upload").click()
    expect(found).to_have_count(4)
    expect(page.get_by_label("Find")).to_have_value("")
    expect(page).to_have_url(f"{api.url}/#/")


def test_each_filter_lists_what_it_says(page: Page, api: FakeApi) -> None:
    """What the words of an upload are agrees with the filter that lists it; the service is asked for no other."""
    after = {"outcome": "all_created_after_correction", "corrected_hospitals": 4}
    none = {"status": "failed", "outcome": "none_created"}
    cancelled = {"status": "cancelled", "outcome": "cancelled"}
    api.listed = [
        job("job-1", status="pending"),
        job("job-2"),
        ended("job-3"),
        ended("job-4", activated=False),
        ended("job-5", failed=4) | after | {"activated": True},
        ended("job-6", failed=4),
        ended("job-7", failed=40) | none,
        ended("job-8", failed=4) | cancelled,
    ]
    page.goto(api.url)
    expected = {
        "Waiting": ["Waiting"],
        "Running": ["Running"],
        "All created": ["Completed", "Not activated"],
        "All created after correction": ["Completed"],
        "Partly created": ["Partly created"],
        "Failed": ["Failed"],
        "Cancelled": ["Cancelled"],
        "Needs attention": ["Not activated", "Partly created", "Failed", "Cancelled"],
    }
    names = page.get_by_label("Show").get_by_role("option").all_inner_texts()
    assert sorted(names) == sorted(["All", *expected])
    for name, chips in expected.items():
        page.get_by_label("Show").select_option(name)
        expect(page.locator(".jobs .chip")).to_have_text(chips)
    page.get_by_label("Find").fill("elsewhere")
    page.get_by_label("Show").select_option("Failed")
    expect(page.get_by_text("No upload is called \u201celsewhere\u201d under \u201cFailed\u201d.")).to_be_visible()


def test_uploads_of_one_name_are_told_apart(page: Page, api: FakeApi) -> None:
    """By when they were uploaded, to the second, and by their rows."""
    api.listed = [
        ended("job-a", created_at="2026-03-01T09:30:07Z"),
        ended("job-b", created_at="2026-03-01T09:30:01Z", total_hospitals=41),
        ended("job-c", file_name="other.csv", created_at="2026-03-01T09:30:01Z"),
    ]
    page.goto(api.url)
    expect(page.locator(".jobs time")).to_have_text(
        ["1 March 2026 at 09:30:07", "1 March 2026 at 09:30:01", "1 March 2026 at 09:30"]
    )
    expect(page.locator(".jobs .numbers").nth(1)).to_have_text("40 of 41 hospitals created")


def test_it_keeps_itself_up_to_date_and_the_focus_where_it_is(page: Page, api: FakeApi) -> None:
    """A new upload appears above; who stands on a link goes on standing there."""
    api.listed = [job("job-a", file_name="a.csv")]
    page.goto(api.url)
    link = page.get_by_role("link", name="a.csv")
    link.focus()
    api.listed = [job("job-b", file_name="b.csv"), ended("job-a", file_name="a.csv")]
    expect(page.locator(".jobs .name")).to_have_text(["b.csv", "a.csv"])
    expect(page.locator(".jobs li").nth(1).locator(".chip")).to_have_text("Completed")
    expect(link).to_be_focused()


def test_an_entry_leads_to_its_job(page: Page, api: FakeApi) -> None:
    """A link like any other, which can be kept and sent."""
    api.listed = uploads(1)
    page.goto(api.url)
    page.get_by_role("link", name="file-0.csv").click()
    expect(page).to_have_url(f"{api.url}/#/jobs/job-0")
    page.go_back()
    expect(page.get_by_role("link", name="file-0.csv")).to_be_visible()
