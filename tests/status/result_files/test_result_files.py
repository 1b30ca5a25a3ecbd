"""Result files over HTTP: which rows, in which order, and how a slow client is served."""

import asyncio
import csv
import gc
import hashlib
from io import BytesIO, StringIO

import pytest
from python_calamine import CalamineWorkbook

from shared.contract.events import JobOutcome, RowErrorCode
from shared.contract.result_columns import RESULT_COLUMNS
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import api_client

OWN = ["name", "address", "Beds"]


@pytest.fixture
async def api(engine):
    """The API on empty tables, of either database."""
    async with api_client(engine) as api:
        yield api


async def file(api, name, job_id="job-1", **more):
    """The cells of a result file."""
    answer = await api.get(f"/jobs/{job_id}/{name}.csv", **more)
    assert answer.status_code == 200, answer.text
    return list(csv.reader(StringIO(answer.text, newline="")))


async def test_each_outcome_has_its_file_in_the_order_of_the_input(api, engine):
    """Page by page, whatever the order in which the results came."""
    job = JobHistory(total=30, batches=2)
    results = {
        row: (job.created, job.failed, job.unprocessed)[row % 3](row, seconds=40 - row)
        for row in reversed(range(2, 32))
    }
    await apply_events(engine, job.accepted(), *results.values())
    for remainder, name in enumerate(("successful", "failed", "unprocessed")):
        header, *rows = await file(api, name)
        assert header == [*OWN, *RESULT_COLUMNS]
        expected = [row for row in range(2, 32) if row % 3 == remainder]
        assert [row[:4] for row in rows] == [[f"Hospital {row}", "1 Long Street", "12", str(row)] for row in expected]


async def test_a_file_nobody_is_in_is_a_header(api, engine):
    """It can be opened all the same."""
    await apply_events(engine, JobHistory().accepted())
    assert await file(api, "failed") == [[*OWN, *RESULT_COLUMNS]]


async def test_what_a_row_says_of_itself(api, engine):
    """Enough to correct it, and to find it in the directory."""
    job = JobHistory(total=2)
    finished = job.finished(JobOutcome.SOME_FAILED)
    await apply_events(engine, job.accepted(), job.created(2, hospital_id="h-1"), job.failed(3), finished)
    [_, created] = await file(api, "successful")
    [_, failed] = await file(api, "failed")
    assert created[3:] == ["2", "created", "h-1", "job-1-batch-0", "job-1", "1", "", ""]
    assert failed[3:] == ["3", "failed", "", "job-1-batch-0", "job-1", "1", "rejected", "rejected in round 1"]


async def test_while_the_job_runs_the_file_holds_what_there_is_and_says_so(api, engine):
    """In headers, so that the file itself stays a CSV."""
    job = JobHistory(total=2)
    await apply_events(engine, job.accepted(), job.failed(2))
    before = await api.get("/jobs/job-1/failed.csv")
    assert (before.headers["X-Job-Status"], before.headers["X-Result-Complete"]) == ("processing", "false")
    await apply_events(engine, job.failed(3), job.finished(JobOutcome.NONE_CREATED))
    after = await api.get("/jobs/job-1/failed.csv")
    assert (after.headers["X-Job-Status"], after.headers["X-Result-Complete"]) == ("failed", "true")
    assert (len(before.text.splitlines()), len(after.text.splitlines())) == (2, 3)


async def test_a_row_that_runs_again_is_in_no_file_until_it_has_its_result(api, engine):
    """As the counts of the status say."""
    job = JobHistory(total=3)
    await apply_events(engine, job.accepted(), job.created(2), job.failed(3), job.failed(4))
    await apply_events(engine, job.finished(JobOutcome.SOME_FAILED), job.retried(2))
    assert len(await file(api, "failed")) == 1
    await apply_events(engine, job.created(3, round_=2), job.failed(4, round_=2))
    assert [row[0] for row in (await file(api, "failed"))[1:]] == ["Hospital 4"]
    assert [row[0] for row in (await file(api, "successful"))[1:]] == ["Hospital 2", "Hospital 3"]


async def test_the_delimiter_is_that_of_the_upload(api, engine):
    """A spreadsheet that wrote semicolons reads semicolons."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted().model_copy(update={"delimiter": ";"}), job.failed(2))
    answer = await api.get("/jobs/job-1/failed.csv")
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
async def test_browsers_get_a_byte_order_mark_for_excel_and_programs_do_not(api, engine, asked, accept, marked):
    """Unless they say what they want."""
    await apply_events(engine, JobHistory().accepted())
    answer = await api.get(f"/jobs/job-1/failed.csv{asked}", headers={"Accept": accept})
    assert answer.content.startswith(b"\xef\xbb\xbf") is marked
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


async def test_a_file_is_kept_under_a_name_and_by_no_cache(api, engine):
    """That of the upload, and what is in it: a file of a job that still runs says that it is a part."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted())
    before = await api.get("/jobs/job-1/failed.csv")
    await apply_events(engine, job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    after = await api.get("/jobs/job-1/failed.csv")
    names = [answer.headers["Content-Disposition"].removeprefix("attachment; filename=") for answer in (before, after)]
    assert names == ['"hospitals-failed-partial.csv"', '"hospitals-failed.csv"']
    assert after.headers["Cache-Control"] == "no-store"


async def test_one_file_holds_the_whole_job(api, engine):
    """In the order of the input, whatever became of each row."""
    job = JobHistory(total=12, batches=2)
    results = [(job.created, job.failed, job.unprocessed)[row % 3](row) for row in range(2, 14)]
    await apply_events(engine, job.accepted(), *results, job.finished(JobOutcome.CANCELLED))
    _, *rows = await file(api, "all")
    assert [int(row[3]) for row in rows] == list(range(2, 14))
    assert [row[4] for row in rows] == ["unprocessed", "created", "failed"] * 4


async def test_a_workbook_has_the_cells_of_the_csv(api, engine):
    """Of each file, page by page; row and attempts are numbers."""
    job = JobHistory(total=20)
    results = [(job.created, job.failed)[row % 2](row) for row in range(2, 22)]
    await apply_events(engine, job.accepted(), *results, job.finished(JobOutcome.SOME_FAILED))
    for name in ("successful", "failed", "unprocessed", "all"):
        answer = await api.get(f"/jobs/job-1/{name}.xlsx")
        assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
        assert answer.headers["Content-Disposition"] == f'attachment; filename="hospitals-{name}.xlsx"'
        sheet = CalamineWorkbook.from_filelike(BytesIO(answer.content)).get_sheet_by_index(0).to_python()
        shown = [[str(int(cell)) if isinstance(cell, float) else cell for cell in row] for row in sheet]
        assert shown == await file(api, name)


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
async def test_wide_rows_are_read_few_at_a_time(api, engine, ending):
    """Also where little comes of them: cells that repeat themselves are pressed to almost nothing."""
    job = JobHistory(total=9)
    cells = ("Mercy", "x" * 300_000, "")
    await apply_events(engine, job.accepted(), *(job.failed(row, cells=cells) for row in range(2, 11)))
    api.database.asked = 0
    answer = await api.get(f"/jobs/job-1/failed.{ending}")
    assert answer.status_code == 200
    assert api.database.asked == 1 + 6 + 1 + 1, "three rows, six times one, none, and whether the job is kept"


async def test_more_than_a_workbook_can_hold_is_refused(api, engine):
    """Before a byte is sent, with what to ask for instead."""
    await apply_events(engine, JobHistory(total=1_048_576).accepted())
    answer = await api.get("/jobs/job-1/failed.xlsx")
    assert (answer.status_code, answer.json()["error_type"]) == (409, "workbook_too_large")


async def test_the_rows_of_a_finished_job_that_are_not_in_the_file_take_no_room_in_it(api, engine):
    """The few that failed of more than a workbook can hold."""
    job = JobHistory(total=2)
    await apply_events(engine, job.accepted(), job.created(2), job.failed(3), job.finished(JobOutcome.SOME_FAILED))
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE status_jobs SET total_hospitals = 1048577, created_hospitals = 1048576"
        )
    answers = {
        name: await api.get(f"/jobs/job-1/{name}.xlsx") for name in ("failed", "unprocessed", "successful", "all")
    }
    assert [answer.status_code for answer in answers.values()] == [200, 200, 409, 409]


async def test_a_workbook_whose_reader_goes_leaves_nothing_open(api, engine):
    """Its archive is ended, not left to the garbage collector, which would complain."""
    job = JobHistory(total=20)
    await apply_events(engine, job.accepted(), *(job.failed(row) for row in range(2, 22)))
    begun = asyncio.Event()

    async def send(message):
        begun.set()

    async def receive():
        await begun.wait()
        return {"type": "http.disconnect"}

    scope = api.scope("/jobs/job-1/failed.xlsx") | {"asgi": {"spec_version": "2.3"}}  # as uvicorn says it
    await api.app(scope, receive, send)
    gc.collect()


async def test_another_tenants_file_is_404_and_one_of_a_job_not_read_yet_503(sqlite):
    """As the status answers."""
    keys = tuple(ApiKey(tenant=each, sha256=hashlib.sha256(each.encode()).hexdigest()) for each in ("north", "south"))
    await apply_events(sqlite, JobHistory().accepted())
    async with sqlite.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 2)")
    async with api_client(sqlite, keys, answer_seconds=1) as api:
        assert (await api.get("/jobs/job-1/failed.csv")).status_code == 401
        for tenant, status in (("north", 200), ("south", 404)):
            answer = await api.get("/jobs/job-1/failed.csv", headers={"X-API-Key": tenant})
            assert answer.status_code == status
        api.ends.end = 3
        unread = await api.get("/jobs/job-2/failed.csv", headers={"X-API-Key": "north"})
    assert (unread.status_code, unread.json()["error_type"]) == (503, "not_known_yet")


async def test_nothing_is_held_in_the_database_while_a_client_takes_its_time(api, engine):
    """Between two pages no connection is in use, so no transaction is open."""
    job = JobHistory(total=20)
    await apply_events(engine, job.accepted(), *(job.failed(row) for row in range(2, 22)))
    in_use = []

    async def send(message):
        in_use.append(engine.pool.checkedout())

    async def receive():
        raise AssertionError("a client that only reads")

    scope = api.scope("/jobs/job-1/failed.csv")
    await api.app(scope, receive, send)
    assert len(in_use) > 5
    assert set(in_use) == {0}


async def test_a_database_that_fails_for_a_moment_costs_a_moment(api, engine):
    """The file goes on where it was."""
    job = JobHistory(total=20)
    await apply_events(engine, job.accepted(), *(job.failed(row) for row in range(2, 22)))
    api.database.fail([3, 4])
    assert len(await file(api, "failed")) == 21


async def test_a_file_that_cannot_be_finished_is_seen_to_be_incomplete(api, engine):
    """Half a file never looks like a whole one: the last chunk is not sent."""
    job = JobHistory(total=20)
    await apply_events(engine, job.accepted(), *(job.failed(row, code=RowErrorCode.REJECTED) for row in range(2, 22)))
    api.database.fail(range(3, 1_000))
    messages = []

    async def send(message):
        messages.append(message)

    await api.app(api.scope("/jobs/job-1/failed.csv"), None, send)
    assert messages[0]["status"] == 200
    assert all(message["more_body"] for message in messages[1:])


async def test_a_job_deleted_meanwhile_leaves_no_file_that_looks_whole(api, engine):
    """Retention hides the job, then deletes its rows some at a time."""
    job = JobHistory(total=20)
    await apply_events(engine, job.accepted(), *(job.failed(row) for row in range(2, 22)))
    messages = []

    async def send(message):
        messages.append(message)
        if len(messages) == 3:
            async with engine.begin() as connection:
                await connection.exec_driver_sql("UPDATE status_jobs SET created_at = NULL")
                await connection.exec_driver_sql('DELETE FROM status_rows WHERE "row" > 10')

    await api.app(api.scope("/jobs/job-1/failed.csv"), None, send)
    assert messages[0]["status"] == 200
    assert all(message["more_body"] for message in messages[1:])
