"""A requested cancel is shown until the job has ended, also after a reload, a restart and a rebuild."""

import pytest

from shared.contract.events import JobOutcome
from tests.support.status.job_histories import SETTLING_SECONDS, JobHistory, apply_events, at
from tests.support.status.status_api import api_client

HISTORY = JobHistory(total=3)


@pytest.fixture
async def api(engine):
    async with api_client(engine) as api:
        yield api


async def shown(api):
    """The status, and that the list says the same."""
    status = (await api.get("/status/job-1")).json()
    [listed] = (await api.get("/jobs")).json()["jobs"]
    assert listed.items() <= status.items()
    return status


async def test_a_job_that_nobody_cancelled_says_so(api, engine):
    """null."""
    api.clock.set(3)
    await apply_events(engine, HISTORY.accepted(), HISTORY.created(2))
    assert (await shown(api))["cancel_requested_at"] is None


@pytest.mark.parametrize("rows", [0, 1])
async def test_a_job_that_is_being_cancelled_says_since_when_and_for_how_long(api, engine, rows):
    """Whatever holds it up, it is over when nothing that was sent can be under way any more."""
    api.clock.set(10)
    await apply_events(engine, HISTORY.accepted(), *[HISTORY.created(2)] * rows, HISTORY.cancelled(seconds=1))
    job = await shown(api)
    assert job["status"] == ["pending", "processing"][rows]
    assert job["cancel_requested_at"] == at(1).isoformat().replace("+00:00", "Z")
    assert job["message"] == (
        f"Cancelling: {rows} of 3 hospitals have their result, what was not sent will not be sent"
    )
    assert job["eta_seconds"] == 1 + SETTLING_SECONDS - 10


async def test_a_cancelled_job_keeps_the_moment_until_it_is_retried(api, engine):
    """The next round is another matter."""
    rows = [HISTORY.created(2), HISTORY.unprocessed(3), HISTORY.unprocessed(4)]
    await apply_events(engine, HISTORY.accepted(), *rows, HISTORY.cancelled(), HISTORY.finished(JobOutcome.CANCELLED))
    job = await shown(api)
    assert (job["status"], job["cancel_requested_at"], job["eta_seconds"]) == (
        "cancelled",
        "2026-03-02T12:00:01Z",
        None,
    )
    await apply_events(engine, HISTORY.retried(2))
    job = await shown(api)
    assert (job["status"], job["cancel_requested_at"]) == ("processing", None)
    assert job["message"] == "Processing 1 of 3 hospitals"
