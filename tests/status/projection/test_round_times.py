"""What a job took: without the time between its rounds, whatever the order in which its events are read."""

import random

import pytest
from sqlalchemy import select

from services.status.model.throughput import KEPT_SLOTS
from services.status.tables.definitions import pace
from shared.contract.events import JobOutcome, RowErrorCode
from tests.support.status.job_histories import JobHistory, apply_events, contents, emptied
from tests.support.status.status_api import api_client

JOB = JobHistory(total=3)
FIRST = [JOB.accepted(), JOB.created(2), JOB.failed(3), JOB.failed(4, seconds=3, code=RowErrorCode.OUTCOME_UNKNOWN)]
ENDED = JOB.finished(JobOutcome.SOME_FAILED, seconds=4)
#: Two days later. Row 4 does not run.
SECOND = [
    JOB.retried(2, seconds=200_000),
    JOB.failed(4, round_=2, seconds=200_000, code=RowErrorCode.OUTCOME_UNKNOWN, carried_over=True),
    JOB.created(3, round_=2, seconds=200_006),
]
ENDED_AGAIN = JOB.finished(JobOutcome.SOME_FAILED, round_=2, seconds=200_008)


async def times(engine, seconds):
    """What the job took, as its status says at that moment."""
    async with api_client(engine) as api:
        api.clock.set(seconds)
        answer = (await api.get("/status/job-1")).json()
    return answer["processing_time_seconds"], answer["active_seconds"]


async def test_the_time_between_two_rounds_counts_for_nothing(engine):
    """The last round took three seconds; both together six."""
    await apply_events(engine, JOB.accepted())
    assert await times(engine, 50) == (None, 0)
    await apply_events(engine, *FIRST)
    assert await times(engine, 3) == (None, 2)
    await apply_events(engine, ENDED)
    assert await times(engine, 199_999) == (3, 3)
    await apply_events(engine, SECOND[0])
    assert await times(engine, 200_004) == (None, 3)
    await apply_events(engine, *SECOND[1:])
    assert await times(engine, 200_007) == (None, 5)
    await apply_events(engine, ENDED_AGAIN)
    assert await times(engine, 300_000) == (3, 6)


async def test_a_round_without_rows_takes_no_time(engine):
    """A person resolved the last row a week later, and all was activated then."""
    await apply_events(engine, *FIRST, ENDED, *SECOND, ENDED_AGAIN, JOB.resolved(4, 7, round_=2, seconds=800_000))
    by_hand = JOB.finished(JobOutcome.ALL_CREATED, round_=3, seconds=800_001)
    await apply_events(engine, by_hand, JOB.activated(request_id="finished:3", seconds=800_009))
    assert await times(engine, 900_000) == (3, 6)


async def test_a_cancelled_job_took_until_nothing_of_it_was_under_way(engine):
    """Its last rows lie behind a backlog, and get their result hours later."""
    await apply_events(engine, JOB.accepted(), JOB.created(2, seconds=2), JOB.cancelled(seconds=10))
    assert await times(engine, 5_000) == (59, 59)
    rest = JOB.unprocessed(3, seconds=6_000), JOB.unprocessed(4, seconds=6_000)
    await apply_events(engine, *rest, JOB.finished(JobOutcome.CANCELLED, seconds=6_001))
    assert await times(engine, 7_000) == (59, 59)


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_gives_the_same_times_and_only_the_last_two_minutes_are_kept_second_by_second(sqlite, seed):
    """A job of weeks would keep millions of seconds."""
    job = JobHistory(total=400)
    results = [job.created(row, seconds=row) for row in range(2, 402)]
    await apply_events(sqlite, job.accepted(), *results)
    expected = await contents(sqlite)
    async with sqlite.connect() as connection:
        slots = list((await connection.execute(select(pace.c.slot))).scalars())
    assert max(slots) - min(slots) == len(slots) - 1 == KEPT_SLOTS
    await emptied(sqlite)
    random.Random(seed).shuffle(results)
    for begin in range(0, 400, 80):
        await apply_events(sqlite, *results[begin : begin + 80])
    await apply_events(sqlite, job.accepted())
    assert await contents(sqlite) == expected
