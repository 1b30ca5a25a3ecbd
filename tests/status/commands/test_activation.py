"""Activation by hand: asked for on the topic, answered by a processor, read back."""

import asyncio
import time

import pytest

from shared.contract.events import BatchActivationRequested, JobOutcome
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import api_client

PATH = "/bulk/batch/job-1-batch-0/activate"
HISTORY = JobHistory(total=2)
PARTLY_FAILED = [
    HISTORY.accepted(),
    HISTORY.created(2),
    HISTORY.failed(3),
    HISTORY.finished(JobOutcome.SOME_FAILED),
]


@pytest.fixture
async def api(sqlite):
    """The API with one job that was not activated, since a row failed."""
    await apply_events(sqlite, *PARTLY_FAILED)
    async with api_client(sqlite, activation_seconds=1.0) as api:
        yield api


async def answered(api, sqlite, make):
    """What the caller gets when a processor answers the request with the event that `make` makes of it."""
    asked = asyncio.create_task(api.patch(PATH))
    async with asyncio.timeout(5):
        await api.publisher.something_sent.wait()
    [request] = api.publisher.sent
    assert isinstance(request, BatchActivationRequested)
    await apply_events(sqlite, request, make(request_id=request.request_id))
    api.change_signal.announce()
    return await asked


async def test_an_activation_that_the_directory_does_is_200(api, sqlite):
    """With the directory's words."""
    answer = await answered(api, sqlite, HISTORY.activated)
    assert answer.status_code == 200
    assert answer.json() == {
        "batch_id": "job-1-batch-0",
        "activated": True,
        "message": "Batch activated",
        "error_message": None,
    }
    assert (await api.get("/status/job-1")).json()["activated"] is True


async def test_an_activation_that_the_directory_refuses_is_502_with_its_words(api, sqlite):
    """A problem, as every error."""
    answer = await answered(api, sqlite, HISTORY.refused)
    assert (answer.status_code, answer.json()["error_type"]) == (502, "activation_failed")
    assert "Maintenance" in answer.json()["detail"]


async def test_an_earlier_refusal_is_no_answer_to_a_new_request(api, sqlite):
    """Somebody tries again because the maintenance is over."""
    await apply_events(sqlite, HISTORY.refused(request_id="yesterday"))
    assert (await answered(api, sqlite, HISTORY.activated)).status_code == 200


async def test_an_activation_that_takes_too_long_is_202(api):
    """The request stands."""
    answer = await api.patch(PATH)
    assert (answer.status_code, answer.json()["activated"]) == (202, False)
    assert len(api.publisher.sent) == 1


async def test_a_batch_that_is_activated_is_200_at_once(api, sqlite):
    """Nobody is asked again."""
    await apply_events(sqlite, HISTORY.activated())
    answer = await api.patch(PATH)
    assert (answer.status_code, answer.json()["activated"], api.publisher.sent) == (200, True, [])


async def test_a_batch_of_a_job_that_still_runs_is_409(sqlite):
    """Its later rows would be created after the activation, and stay inactive."""
    await apply_events(sqlite, *PARTLY_FAILED[:2])
    async with api_client(sqlite) as api:
        answer = await api.patch(PATH)
    assert (answer.status_code, answer.json()["error_type"], api.publisher.sent) == (409, "job_running", [])


async def test_an_unknown_batch_is_404(api, sqlite):
    """Once all of hospital.jobs was projected."""
    async with sqlite.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 0)")
    assert (await api.patch("/bulk/batch/nobody/activate")).status_code == 404


async def test_kafka_being_down_is_503_within_2_seconds(api):
    """As the error type that clients know."""
    api.publisher.down = True
    began = time.monotonic()
    answer = await api.patch(PATH)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "message_queue_unavailable")
    assert time.monotonic() - began < 2
