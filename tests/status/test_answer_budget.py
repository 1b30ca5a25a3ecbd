"""One budget a request: whatever is down, and however slow the rest is, every route answers 503 in time."""

import asyncio
import time

import pytest

from shared.contract.events import JobOutcome, RowErrorCode
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import api_client

BUDGET = 0.8
#: For computing, on a busy machine.
MARGIN = 0.6
HISTORY = JobHistory(total=3)
RUNNING = [HISTORY.accepted(), HISTORY.created(2)]
UNKNOWN = [HISTORY.created(3), HISTORY.failed(4, code=RowErrorCode.OUTCOME_UNKNOWN)]
FINISHED = [*RUNNING, *UNKNOWN, HISTORY.finished(JobOutcome.SOME_FAILED)]

#: Method, path, and the events that make the command possible.
QUERIES = [
    ("GET", "/status/job-1"),
    ("GET", "/jobs/job-1/rows"),
    ("GET", "/jobs/job-1/batches"),
    ("GET", "/jobs/job-1/successful.csv"),
    ("GET", "/jobs/job-1/failed.csv"),
    ("GET", "/jobs/job-1/unprocessed.csv"),
    ("GET", "/jobs/job-1/events"),
]
COMMANDS = [
    ("POST", "/jobs/job-1/cancel", RUNNING),
    ("POST", "/jobs/job-1/retry", FINISHED),
    ("POST", "/jobs/job-1/rows/4/resolve", FINISHED),
    ("PATCH", "/bulk/batch/job-1-batch-0/activate", FINISHED),
]
LOOK_UPS = [*QUERIES, *(command[:2] for command in COMMANDS)]


@pytest.fixture
async def api(sqlite):
    """The API on empty tables, with a short budget."""
    async with api_client(sqlite, answer_seconds=BUDGET) as api:
        yield api


async def asked(api, method, path):
    """The answer, and how long it took."""
    body = {"json": {"absent": True}} if path.endswith("resolve") else {}
    began = time.monotonic()
    answer = await api.http.request(method, f"/api/v1/hospitals{path}", **body)
    return answer, time.monotonic() - began


@pytest.mark.parametrize(("method", "path"), [*LOOK_UPS, ("GET", "/jobs")])
async def test_a_silent_database_is_503_within_the_budget(api, method, path):
    """On every route, also on those that would ask more than once."""
    api.database.silent = True
    answer, seconds = await asked(api, method, path)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "database_unavailable")
    assert seconds < BUDGET + MARGIN


@pytest.mark.parametrize(("method", "path"), LOOK_UPS)
async def test_a_silent_kafka_is_503_within_the_budget_where_an_id_is_not_known_yet(api, method, path):
    """Only Kafka's end could tell that there is no such id."""
    api.ends.end, api.ends.silent = None, True
    answer, seconds = await asked(api, method, path)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "message_queue_unavailable")
    assert seconds < BUDGET + MARGIN


@pytest.mark.parametrize(("method", "path"), LOOK_UPS)
async def test_what_is_not_projected_in_time_is_503_within_the_budget(api, method, path):
    """The topic goes on behind what was projected."""
    api.ends.end = 6
    answer, seconds = await asked(api, method, path)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "not_known_yet")
    assert seconds < BUDGET + MARGIN


@pytest.mark.parametrize(("method", "path", "events"), COMMANDS)
async def test_a_command_that_kafka_does_not_take_is_503_within_the_budget(api, sqlite, method, path, events):
    """What the look-up has used is not waited for again."""
    await apply_events(sqlite, *events)
    api.publisher.down = api.publisher.silent = True
    answer, seconds = await asked(api, method, path)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "message_queue_unavailable")
    assert seconds < BUDGET + MARGIN


async def test_slow_steps_share_one_budget(api, sqlite):
    """A database that is just in time leaves little for Kafka: the waits do not add up."""
    await apply_events(sqlite, *FINISHED)
    api.publisher.down = api.publisher.silent = True

    async def slow():
        await asyncio.sleep(BUDGET * 0.9)

    api.database.after(1, slow)
    answer, seconds = await asked(api, "POST", "/jobs/job-1/retry")
    assert answer.status_code == 503
    assert seconds < BUDGET + 0.5 * BUDGET
