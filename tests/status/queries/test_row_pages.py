"""Pages of rows are read in the order of an index, also from tables that the database does not know well yet."""

from types import SimpleNamespace

import pytest
from sqlalchemy import event, text

from services.status.model.row_results import RowStatus, record_of
from services.status.queries.row_queries import result_page, row_page
from services.status.tables.bulk_writes import append
from services.status.tables.definitions import rows
from tests.support.status.job_histories import JobHistory

ROWS = 20_000
EXPLAIN = {"postgresql": "EXPLAIN ", "sqlite": "EXPLAIN QUERY PLAN "}


@pytest.fixture
async def engine(engine):
    """Two jobs of many rows, that nobody has analysed."""
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("ALTER TABLE status_rows SET (autovacuum_enabled = false)"))
        for job_id in ("job-1", "job-2"):
            made = record_of(JobHistory(job_id=job_id).created(2))
            several = {0: made._replace(status="failed"), 1: made._replace(status="unprocessed")}
            records = [several.get(row % 10, made)._replace(row=row) for row in range(2, ROWS + 2)]
            await append(connection, rows, records)
    return engine


async def test_no_page_is_sorted(engine):
    """Sorting all the rest of a job for every page makes a file of a million rows take for ever."""
    asked = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *of: asked.append((of[2], of[3])))
    async with engine.connect() as connection:
        for round_ in (1, 2):
            job = SimpleNamespace(job_id="job-1", round=round_)
            for outcome in RowStatus:
                await connection.run_sync(result_page, job, outcome, ROWS // 2, 200)
            for outcome in (None, *RowStatus):
                await connection.run_sync(row_page, job, outcome, 0, 101)
        plans = [
            str(step)
            for statement, values in list(asked)
            for step in await connection.exec_driver_sql(EXPLAIN[engine.dialect.name] + statement, values)
        ]
    assert len(plans) >= 14
    assert not [step for step in plans if "Sort" in step or "TEMP B-TREE" in step]


async def test_pages_follow_one_another_without_a_gap_and_end_with_the_job(engine):
    """The next job's rows stand right behind it in the index."""
    job = SimpleNamespace(job_id="job-1", round=1)
    found, after = [], 0
    async with engine.connect() as connection:
        while page := await connection.run_sync(row_page, job, None, after, 7_000):
            found += [row.row for row in page]
            after = found[-1]
        created = await connection.run_sync(row_page, job, RowStatus.CREATED, ROWS - 20, 1_000)
    assert found == list(range(2, ROWS + 2))
    assert [row.row for row in created] == [row for row in found if row > ROWS - 20 and row % 10 > 1]


async def test_rows_of_an_outcome_that_nobody_has_are_not_looked_for_among_all(engine):
    """PostgreSQL keeps one plan for all outcomes when it is asked often, and of it half a job may be failed rows."""
    asked = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *of: asked.append((of[2], of[3])))
    async with engine.connect() as connection:
        await connection.run_sync(row_page, SimpleNamespace(job_id="job-1", round=1), RowStatus.UNPROCESSED, 0, 101)
        statement, values = asked[-1]
        explained = EXPLAIN[engine.dialect.name] + statement
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SET plan_cache_mode = force_generic_plan"))
            await connection.exec_driver_sql(f"PREPARE page AS {statement}")
            explained, values = f"EXPLAIN EXECUTE page({', '.join(map(repr, values))})", ()
        plan = [str(step) for step in await connection.exec_driver_sql(explained, values)]
    assert any("status_rows_not_created" in step for step in plan), plan
