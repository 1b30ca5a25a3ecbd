"""Result files over HTTP: which rows, in which order, and how a slow client is served."""

import csv
import hashlib
from io import StringIO

import pytest
from sqlalchemy.exc import OperationalError

from services.status.result_files import routes
from services.status.result_files.result_csv import RESULT_COLUMNS
from shared.contract.events import JobOutcome, RowErrorCode
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import Story, tell
from tests.support.status.status_api import counter

OWN = ["name", "address", "Beds"]


@pytest.fixture
async def desk(engine):
    """The API on empty tables, of either database."""
    async with counter(engine) as desk:
        yield desk


@pytest.fixture
def small_pages(monkeypatch):
    """Files of a few rows have many pages."""
    monkeypatch.setattr(routes, "_FIRST_PAGE_ROWS", 3)
    monkeypatch.setattr(routes, "_MAX_PAGE_ROWS", 4)


async def file(desk, name, job_id="job-1", **more):
    """The cells of a result file."""
    answer = await desk.get(f"/jobs/{job_id}/{name}.csv", **more)
    assert answer.status_code == 200, answer.text
    return list(csv.reader(StringIO(answer.text, newline="")))


async def test_each_outcome_has_its_file_in_the_order_of_the_input(desk, engine, small_pages):
    """Page by page, whatever the order in which the results came."""
    story = Story(total=30, batches=2)
    results = {
        row: (story.created, story.failed, story.unprocessed)[row % 3](row, seconds=40 - row)
        for row in reversed(range(2, 32))
    }
    await tell(engine, story.accepted(), *results.values())
    for remainder, name in enumerate(("successful", "failed", "unprocessed")):
        header, *rows = await file(desk, name)
        assert header == [*OWN, *RESULT_COLUMNS]
        expected = [row for row in range(2, 32) if row % 3 == remainder]
        assert [row[:4] for row in rows] == [[f"Hospital {row}", "1 Long Street", "12", str(row)] for row in expected]


async def test_a_file_nobody_is_in_is_a_header(desk, engine):
    """It can be opened all the same."""
    await tell(engine, Story().accepted())
    assert await file(desk, "failed") == [[*OWN, *RESULT_COLUMNS]]


async def test_what_a_row_says_of_itself(desk, engine):
    """Enough to correct it, and to find it in the directory."""
    story = Story(total=2)
    finished = story.finished(JobOutcome.SOME_FAILED)
    await tell(engine, story.accepted(), story.created(2, hospital_id="h-1"), story.failed(3), finished)
    [_, created] = await file(desk, "successful")
    [_, failed] = await file(desk, "failed")
    assert created[3:] == ["2", "created", "h-1", "job-1-batch-0", "1", "", ""]
    assert failed[3:] == ["3", "failed", "", "job-1-batch-0", "1", "rejected", "rejected in round 1"]


async def test_while_the_job_runs_the_file_holds_what_there_is_and_says_so(desk, engine):
    """In headers, so that the file itself stays a CSV."""
    story = Story(total=2)
    await tell(engine, story.accepted(), story.failed(2))
    before = await desk.get("/jobs/job-1/failed.csv")
    assert (before.headers["X-Job-Status"], before.headers["X-Result-Complete"]) == ("processing", "false")
    await tell(engine, story.failed(3), story.finished(JobOutcome.NONE_CREATED))
    after = await desk.get("/jobs/job-1/failed.csv")
    assert (after.headers["X-Job-Status"], after.headers["X-Result-Complete"]) == ("failed", "true")
    assert (len(before.text.splitlines()), len(after.text.splitlines())) == (2, 3)


async def test_a_row_that_runs_again_is_in_no_file_until_it_has_its_result(desk, engine):
    """As the counts of the status say."""
    story = Story(total=3)
    await tell(engine, story.accepted(), story.created(2), story.failed(3), story.failed(4))
    await tell(engine, story.finished(JobOutcome.SOME_FAILED), story.retried(2))
    assert len(await file(desk, "failed")) == 1
    await tell(engine, story.created(3, round_=2), story.failed(4, round_=2))
    assert [row[0] for row in (await file(desk, "failed"))[1:]] == ["Hospital 4"]
    assert [row[0] for row in (await file(desk, "successful"))[1:]] == ["Hospital 2", "Hospital 3"]


async def test_the_delimiter_is_that_of_the_upload(desk, engine):
    """A spreadsheet that wrote semicolons reads semicolons."""
    story = Story(total=1)
    await tell(engine, story.accepted().model_copy(update={"delimiter": ";"}), story.failed(2))
    answer = await desk.get("/jobs/job-1/failed.csv")
    assert answer.text.startswith("name;address;Beds;result_row;")


@pytest.mark.parametrize(
    ("asked", "accept", "marked"),
    [
        ("", "*/*", False),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("?bom=true", "*/*", True),
        ("?bom=false", "text/html", False),
    ],
)
async def test_browsers_get_a_byte_order_mark_for_excel_and_programs_do_not(desk, engine, asked, accept, marked):
    """Unless they say what they want."""
    await tell(engine, Story().accepted())
    answer = await desk.get(f"/jobs/job-1/failed.csv{asked}", headers={"Accept": accept})
    assert answer.content.startswith(b"\xef\xbb\xbf") is marked
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


async def test_a_file_is_kept_under_a_name_and_by_no_cache(desk, engine):
    """That of the upload, and what is in it."""
    await tell(engine, Story().accepted())
    answer = await desk.get("/jobs/job-1/failed.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="hospitals-failed.csv"'
    assert answer.headers["Cache-Control"] == "no-store"


async def test_another_tenants_file_is_404_and_one_of_a_job_not_read_yet_503(sqlite):
    """As the status answers."""
    keys = tuple(ApiKey(tenant=each, sha256=hashlib.sha256(each.encode()).hexdigest()) for each in ("north", "south"))
    await tell(sqlite, Story().accepted())
    async with sqlite.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 2)")
    async with counter(sqlite, keys) as desk:
        assert (await desk.get("/jobs/job-1/failed.csv")).status_code == 401
        for tenant, status in (("north", 200), ("south", 404)):
            answer = await desk.get("/jobs/job-1/failed.csv", headers={"X-API-Key": tenant})
            assert answer.status_code == status
        desk.ends.end = 3
        unread = await desk.get("/jobs/job-2/failed.csv", headers={"X-API-Key": "north"})
    assert (unread.status_code, unread.json()["error_type"]) == (503, "not_known_yet")


async def test_nothing_is_held_in_the_database_while_a_client_takes_its_time(desk, engine, small_pages):
    """Between two pages no connection is in use, so no transaction is open."""
    story = Story(total=20)
    await tell(engine, story.accepted(), *(story.failed(row) for row in range(2, 22)))
    in_use = []

    async def send(message):
        in_use.append(engine.pool.checkedout())

    async def receive():
        raise AssertionError("a client that only reads")

    scope = desk.scope("/jobs/job-1/failed.csv")
    await desk.app(scope, receive, send)
    assert len(in_use) > 5
    assert set(in_use) == {0}


async def test_a_database_that_fails_for_a_moment_costs_a_moment(desk, engine, small_pages, monkeypatch):
    """The file goes on where it was."""
    monkeypatch.setattr(routes, "_TRY_AGAIN_SECONDS", 0.01)
    story = Story(total=20)
    await tell(engine, story.accepted(), *(story.failed(row) for row in range(2, 22)))
    failing_pages(monkeypatch, [3, 4])
    assert len(await file(desk, "failed")) == 21


async def test_a_file_that_cannot_be_finished_is_seen_to_be_incomplete(desk, engine, small_pages, monkeypatch):
    """Half a file never looks like a whole one: the last chunk is not sent."""
    monkeypatch.setattr(routes, "_TRY_AGAIN_SECONDS", 0.01)
    story = Story(total=20)
    await tell(engine, story.accepted(), *(story.failed(row, code=RowErrorCode.REJECTED) for row in range(2, 22)))
    failing_pages(monkeypatch, range(3, 1_000))
    messages = []

    async def send(message):
        messages.append(message)

    await desk.app(desk.scope("/jobs/job-1/failed.csv"), None, send)
    assert messages[0]["status"] == 200
    assert all(message["more_body"] for message in messages[1:])


async def test_a_job_deleted_meanwhile_leaves_no_file_that_looks_whole(desk, engine, small_pages):
    """Retention hides the job, then deletes its rows some at a time."""
    story = Story(total=20)
    await tell(engine, story.accepted(), *(story.failed(row) for row in range(2, 22)))
    messages = []

    async def send(message):
        messages.append(message)
        if len(messages) == 3:
            async with engine.begin() as connection:
                await connection.exec_driver_sql("UPDATE status_jobs SET created_at = NULL")
                await connection.exec_driver_sql('DELETE FROM status_rows WHERE "row" > 10')

    await desk.app(desk.scope("/jobs/job-1/failed.csv"), None, send)
    assert messages[0]["status"] == 200
    assert all(message["more_body"] for message in messages[1:])


def failing_pages(monkeypatch, numbers):
    """The database fails when these pages are asked for, counted from 1."""
    read, asked = routes.result_page, 0

    async def page(*question):
        nonlocal asked
        asked += 1
        if asked in numbers:
            raise OperationalError("SELECT", {}, OSError("away"))
        return await read(*question)

    monkeypatch.setattr(routes, "result_page", page)
