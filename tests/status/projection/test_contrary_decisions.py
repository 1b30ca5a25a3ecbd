"""People who decide about one row at the same time, or while the job is retried: the job always ends."""

import pytest
from aiokafka import TopicPartition
from sqlalchemy import event as engine_events
from sqlalchemy import select

from services.status.commands.retry_decision import RetryDecision, decide_retry
from services.status.commands.retry_partition import known_job
from services.status.commands.retry_rows import Retry, next_chunk
from services.status.model.timestamps import micros
from services.status.tables.definitions import jobs, resolutions
from shared.contract.cloud_events import decode
from shared.contract.events import JobOutcome, RowErrorCode
from shared.contract.topics import Topics
from tests.support.status.job_histories import JobHistory, apply_events, contents, emptied

UNKNOWN = RowErrorCode.OUTCOME_UNKNOWN
HISTORY = JobHistory(total=3)
#: Row 2 was created, row 3 failed for certain, and nobody knows about row 4.
ENDED = [
    HISTORY.accepted(),
    HISTORY.created(2),
    HISTORY.failed(3),
    HISTORY.failed(4, code=UNKNOWN),
    HISTORY.finished(JobOutcome.SOME_FAILED),
]
RETRIED = HISTORY.retried(2, seconds=6)
FOUND_BEFORE, ABSENT_BEFORE = HISTORY.resolved(4, 77, seconds=5), HISTORY.resolved(4, None, seconds=5)
FOUND_AFTER, ABSENT_AFTER = HISTORY.resolved(4, 78, seconds=7), HISTORY.resolved(4, None, seconds=7)


async def the(engine, *columns):
    """Those columns of the only job."""
    async with engine.connect() as connection:
        return tuple((await connection.execute(select(*(jobs.c[column] for column in columns)))).one())


async def rows_of_round(engine, request):
    """The rows that the partition's owner would write for the request now."""
    async with engine.connect() as connection:
        known = await connection.run_sync(known_job, TopicPartition(Topics().jobs, 0), request.job_id)
    place = micros(request.occurred_at)
    assert decide_retry(request, place, place + 1, known.facts, known.tallies) is RetryDecision.RUN
    chunk = await next_chunk(engine, Topics(), Retry(request, True, HISTORY.accepted().columns), 0)
    return [decode(record.headers, record.value).row for _, record in chunk.records]


@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        ([FOUND_BEFORE], [ABSENT_AFTER], [3]),
        ([FOUND_BEFORE], [FOUND_AFTER], [3]),
        ([ABSENT_BEFORE], [FOUND_AFTER], [3, 4]),
        ([], [FOUND_AFTER], [3, 4]),
        ([], [ABSENT_AFTER, FOUND_AFTER], [3, 4]),
        ([FOUND_BEFORE, ABSENT_BEFORE], [FOUND_AFTER, ABSENT_AFTER], [3]),
    ],
)
@pytest.mark.parametrize("owner_is", ["quick", "slow"])
async def test_a_retry_between_two_decisions_runs_the_rows_that_were_open_at_its_place_and_ends(
    engine, before, after, again, owner_is
):
    """Whether the rows of the round are written before the later decision is projected, or after it."""
    await apply_events(engine, *ENDED, *before)
    await apply_events(engine, RETRIED)
    if owner_is == "quick":
        assert await rows_of_round(engine, RETRIED) == again
    await apply_events(engine, *after)
    if owner_is == "slow":
        assert await rows_of_round(engine, RETRIED) == again
    assert await the(engine, "status", "due_round") == ("processing", None), "its rows have no result yet"
    await apply_events(engine, *(HISTORY.created(row, round_=2, seconds=8) for row in again))
    assert await the(engine, "created_hospitals", "due_round") == (3, 2)


async def test_decisions_around_a_retry_give_the_same_tables_whenever_the_results_are_read(engine):
    """When the tables are made again, hospital.jobs may be read before hospital.results."""
    of_job = [ENDED[0], ENDED[-1], ABSENT_BEFORE, RETRIED, FOUND_AFTER]
    results = [*ENDED[1:-1], HISTORY.failed(4, round_=2, code=UNKNOWN, seconds=8)]
    await apply_events(engine, *ENDED, ABSENT_BEFORE, RETRIED, FOUND_AFTER, results[-1])
    expected = await contents(engine)
    await emptied(engine)
    for event in (*of_job, *results):
        await apply_events(engine, event)
    assert await contents(engine) == expected


@pytest.mark.parametrize("finished_again", [False, True])
async def test_a_hospital_that_was_found_is_not_taken_back(engine, finished_again):
    """Row 4 was the last one open: its job is finished once more, whatever the other one did not find."""
    again = HISTORY.finished(JobOutcome.ALL_CREATED, round_=2, seconds=6)
    await apply_events(engine, *ENDED[:2], HISTORY.created(3), *ENDED[3:], FOUND_BEFORE)
    await apply_events(engine, *([again, ABSENT_AFTER] if finished_again else [ABSENT_AFTER, again]))
    await apply_events(engine, HISTORY.activated(request_id="finished:2", seconds=9))
    assert await the(engine, "status", "outcome", "activated") == ("completed", "all_created", True)


async def test_each_decision_is_written_once(sqlite):
    """A thousand rows settled one by one are a thousand rows written."""
    job = JobHistory(total=50)
    await apply_events(sqlite, job.accepted(), *(job.failed(row, code=UNKNOWN) for row in range(2, 52)))
    written = []

    def count(_connection, _cursor, statement, parameters, _context, executemany):
        if statement.startswith("INSERT INTO status_resolutions"):
            written.append(len(parameters) if executemany else 1)

    engine_events.listen(sqlite.sync_engine, "before_cursor_execute", count)
    for row in range(2, 52):
        await apply_events(sqlite, job.resolved(row, row))
    assert sum(written) == 50
    async with sqlite.connect() as connection:
        assert len(list(await connection.execute(select(resolutions)))) == 50
