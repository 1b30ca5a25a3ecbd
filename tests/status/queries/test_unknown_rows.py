"""Rows that failed and may be in the directory all the same: counted, named beside the file, and in it."""

import csv

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import delete, select, text

from services.status.tables.definitions import jobs, resolutions, rows, tallies
from services.status.tables.schema_version import migrate
from shared.contract.events import JobOutcome, RowErrorCode
from tests.support.status.job_histories import JobHistory, apply_events, emptied, histories
from tests.support.status.status_api import api_client

HISTORY = JobHistory(total=4)
UNKNOWN = [HISTORY.failed(row, code=RowErrorCode.OUTCOME_UNKNOWN) for row in (2, 3, 4)]


@pytest.fixture
async def api(engine):
    async with api_client(engine) as api:
        yield api


async def unknown(api):
    """What the status, the list and the file say; the file's by its head, and row by row."""
    status = (await api.get("/status/job-1")).json()["unknown_hospitals"]
    [listed] = (await api.get("/jobs")).json()["jobs"]
    file = await api.get("/jobs/job-1/failed.csv")
    codes = [row["result_error_code"] for row in csv.DictReader(file.text.splitlines())]
    assert (
        status == listed["unknown_hospitals"] == int(file.headers["X-Result-Unknown"]) == codes.count("outcome_unknown")
    )
    return status


async def test_rows_of_unknown_outcome_are_counted_until_somebody_has_looked(api, engine):
    """Found or absent, it is known then; and unknown again when the row ran again and nobody could tell."""
    await apply_events(engine, HISTORY.accepted(), *UNKNOWN, HISTORY.failed(5))
    assert await unknown(api) == 3
    await apply_events(engine, HISTORY.resolved(2, 77))
    assert await unknown(api) == 2
    await apply_events(engine, HISTORY.resolved(3, None))
    assert await unknown(api) == 1
    await apply_events(engine, HISTORY.resolved(3, 78, seconds=9))
    assert await unknown(api) == 1
    await apply_events(engine, HISTORY.finished(JobOutcome.SOME_FAILED), HISTORY.retried(2))
    assert await unknown(api) == 0
    await apply_events(
        engine, HISTORY.failed(4, round_=2, code=RowErrorCode.OUTCOME_UNKNOWN), HISTORY.created(5, round_=2)
    )
    assert await unknown(api) == 1


async def test_a_row_that_was_looked_for_and_is_not_there_does_not_call_itself_unknown(api, engine):
    """It can be uploaded again; the reason names who looked."""
    await apply_events(engine, HISTORY.accepted(), *UNKNOWN, HISTORY.resolved(3, None))
    file = await api.get("/jobs/job-1/failed.csv")
    codes = {row["result_row"]: row["result_error_code"] for row in csv.DictReader(file.text.splitlines())}
    assert codes == {"2": "outcome_unknown", "3": "absent", "4": "outcome_unknown"}


async def test_other_files_do_not_speak_of_it(api, engine):
    """There is nothing to be uploaded again in them that exists."""
    await apply_events(engine, HISTORY.accepted(), *UNKNOWN, HISTORY.created(5))
    for name in ("successful", "unprocessed"):
        assert (await api.get(f"/jobs/job-1/{name}.csv")).headers["X-Result-Unknown"] == "0"


async def by_hand(connection):
    """The rows of unknown outcome of the job's last round, counted one by one."""
    found = await connection.execute(
        select(rows.c.row, rows.c.round, rows.c.status, rows.c.error_code, jobs.c.round.label("last")).join(
            jobs, jobs.c.job_id == rows.c.job_id
        )
    )
    decided = {tuple(each) for each in await connection.execute(select(resolutions.c.row, resolutions.c.round))}
    return sum(
        (row.status, row.error_code, row.round) == ("failed", "outcome_unknown", row.last)
        and (row.row, row.round) not in decided
        for row in found
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
async def test_the_count_is_what_counting_by_hand_gives(sqlite, history):
    """Whatever has happened to the job."""
    await emptied(sqlite)
    await apply_events(sqlite, *history)
    async with sqlite.connect() as connection:
        assert (await connection.execute(select(jobs.c.unknown_hospitals))).scalar_one() == await by_hand(connection)


#: What versions after 0002 have added.
UNDONE = [
    "DROP INDEX status_jobs_due_command",
    *(f"DROP TABLE {table}" for table in ("status_corrections", "status_history", "status_rounds")),
    "ALTER TABLE status_rows DROP COLUMN carried_over",
    *(
        f"ALTER TABLE status_jobs DROP COLUMN {column}"
        for column in (
            *("unknown_hospitals", "fields", "max_failures", "cancel_reason", "filled_batches"),
            *("activations_requested", "corrected_hospitals", "due_command", "timed_round", "round_started_at"),
            *("round_ended_at", "earlier_active", "receipt"),
        )
    ),
]


async def test_tables_of_an_older_version_are_counted_when_they_are_brought_up_to_date(engine):
    """What was projected before has its count too."""
    await apply_events(engine, HISTORY.accepted(), *UNKNOWN, HISTORY.resolved(3, None))
    async with engine.begin() as connection:
        await connection.execute(delete(tallies).where(tallies.c.status == "outcome_unknown"))
        for statement in UNDONE:
            await connection.execute(text(statement))
        await connection.execute(text("UPDATE status_alembic_version SET version_num = '0002'"))
    await migrate(engine)
    async with engine.begin() as connection:
        assert (await connection.execute(select(jobs.c.unknown_hospitals))).scalar_one() == 2
        counted = select(tallies.c.round, tallies.c.hospitals).where(tallies.c.status == "outcome_unknown")
        assert [tuple(each) for each in await connection.execute(counted)] == [(1, 2)]
