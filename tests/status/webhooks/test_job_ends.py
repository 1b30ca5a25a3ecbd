"""A webhook says how a job ended: it waits for the projection, and for the activation."""

import asyncio
import json
from datetime import timedelta

import pytest

from services.status.queries.read_database import ReadDatabase
from services.status.tables.change_signal import ChangeSignal
from services.status.webhooks.job_ends import JobEnds
from services.status.webhooks.job_statuses import JobStatuses
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory, apply_events, at

NEVER = at(0) + timedelta(days=400)


@pytest.fixture
async def waiting(engine):
    """Begins to wait for a round's end; `look` looks whether it is there."""
    ends = JobEnds(ReadDatabase(engine), ChangeSignal(), lambda: at(100))
    tasks = []

    def wait(job_id="job-1", round_=1, gone_from=NEVER):
        tasks.append(asyncio.create_task(ends.end_of(job_id, round_, gone_from)))
        return tasks[-1]

    async def look(task):
        await asyncio.sleep(0)
        await ends.look()
        await asyncio.sleep(0)
        return task.result().at if task.done() else "not yet"

    yield wait, look
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_job_of_which_all_rows_were_created_ends_with_its_activation(engine, waiting):
    """Before it the status says that it still runs."""
    wait, look = waiting
    job, task = JobHistory(total=1), wait()
    assert await look(task) == "not yet"
    await apply_events(engine, job.accepted(), job.created(2))
    assert await look(task) == "not yet"
    await apply_events(engine, job.finished(JobOutcome.ALL_CREATED))
    assert await look(task) == "not yet"
    await apply_events(engine, job.activated())
    assert await look(task) == at(5)


async def test_a_job_with_failures_ends_with_its_last_row(engine, waiting):
    """As soon as the projection has read it."""
    wait, look = waiting
    job, task = JobHistory(total=1), wait()
    await apply_events(engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    assert await look(task) == at(4)


async def test_a_round_that_was_followed_by_another_has_ended(engine, waiting):
    """And its message is posted, whatever becomes of the next."""
    wait, look = waiting
    job, first, second = JobHistory(total=1), wait(), wait(round_=2)
    await apply_events(engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED), job.retried(2))
    assert await look(first) == at(4)
    assert await look(second) == "not yet"


async def test_a_job_that_nobody_knows_is_gone_after_a_day(engine, waiting):
    """Until then the projection may only be late."""
    wait, look = waiting
    late, gone = wait("job-2"), wait("job-3", gone_from=at(99))
    assert await look(late) == "not yet"
    assert await look(gone) is None


class FaultyOnce(ReadDatabase):
    """A driver that fails with an error of its own at the first question."""

    faults = 1

    async def read(self, question, seconds):
        self.faults -= 1
        if self.faults >= 0:
            raise RuntimeError("cannot perform operation: another operation is in progress")
        return await super().read(question, seconds)


async def test_an_error_of_a_driver_ends_no_waiting(engine):
    """Else nobody would be told of any job until the next restart."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    ends = JobEnds(FaultyOnce(engine), ChangeSignal(), lambda: at(100), poll_seconds=0.01)
    running = asyncio.create_task(ends.run())
    try:
        end = await asyncio.wait_for(ends.end_of("job-1", 1, NEVER), 30)
    finally:
        running.cancel()
    assert end.at == at(4)


async def test_the_body_is_the_status_in_an_envelope(engine):
    """Of the job's own tenant."""
    job = JobHistory(total=1)
    end = job.finished(JobOutcome.NONE_CREATED)
    await apply_events(engine, job.accepted(), job.failed(2), end)
    statuses = JobStatuses(ReadDatabase(engine), lambda: at(100))
    body = json.loads(await statuses.body(end))
    assert (body["type"], body["timestamp"]) == ("job.finished", end.occurred_at.isoformat())
    assert body["data"] | {"job_id": "job-1", "status": "failed", "failed_hospitals": 1} == body["data"]
    assert await statuses.body(end.model_copy(update={"tenant": "south"})) is None
