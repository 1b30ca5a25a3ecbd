"""What answers about the activation of batches cost, and that counting a few of them gives what counting all gives."""

import pytest
from sqlalchemy import event as engine_events
from sqlalchemy import select

from services.status.tables.definitions import jobs
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory, apply_events, contents, emptied

COUNTED = ("batches_activated", "batches_refused", "answered_at", "refusal", "status", "activated")


async def counted(engine):
    """What the only job's answers come to."""
    async with engine.connect() as connection:
        return tuple((await connection.execute(select(*(jobs.c[column] for column in COUNTED)))).one())


@pytest.mark.parametrize("answer", [JobHistory.activated, JobHistory.refused])
async def test_each_answer_about_a_batch_is_written_once(sqlite, answer):
    """A job of a million rows has a thousand batches: to write all of them for each answer were half a million rows."""
    job = JobHistory(total=1, batches=100)
    await apply_events(sqlite, job.accepted(), job.created(2), job.finished(JobOutcome.ALL_CREATED))
    written = []

    def count(_connection, _cursor, statement, parameters, _context, executemany):
        if statement.startswith("INSERT INTO status_activations"):
            written.append(len(parameters) if executemany else 1)

    engine_events.listen(sqlite.sync_engine, "before_cursor_execute", count)
    for batch in range(100):
        await apply_events(sqlite, answer(job, batch, seconds=10 + batch))
    assert sum(written) == 100
    assert (await counted(sqlite))[4] == "completed"


JOB = JobHistory(total=1, batches=3)
BEFORE = [JOB.accepted(), JOB.created(2), JOB.finished(JobOutcome.ALL_CREATED)]


@pytest.mark.parametrize(
    "answers",
    [
        [JOB.activated(0, seconds=6), JOB.refused(1, seconds=7), JOB.activated(2, seconds=8)],
        [JOB.refused(1, seconds=6), JOB.refused(0, seconds=7), JOB.refused(2, seconds=8)],
        [JOB.refused(1), JOB.refused(0, seconds=7), JOB.activated(0, "by-hand", 50), JOB.activated(1, "by-hand", 60)],
        [JOB.refused(0, "by-hand", 6), JOB.activated(0, seconds=7), JOB.activated(0, seconds=7)],
        [JOB.activated(0, seconds=9), JOB.activated(0, "by-hand", 6), JOB.activated(1, seconds=7)],
        [JOB.refused(0), JOB.finished(JobOutcome.ALL_CREATED, round_=2, seconds=8), JOB.refused(1, "finished:2", 9)],
    ],
)
async def test_answers_one_by_one_come_to_the_same_as_all_at_once(engine, answers):
    """Refused, activated after all, twice, earlier than the first, and after another JobFinished."""
    await apply_events(engine, *BEFORE, *answers)
    expected = await contents(engine)
    await emptied(engine)
    for event in (*BEFORE, *answers):
        await apply_events(engine, event)
    assert await contents(engine) == expected
