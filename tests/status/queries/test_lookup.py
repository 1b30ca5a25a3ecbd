"""An id just accepted is never called unknown; an unknown one is, as soon as that is certain."""

import asyncio
import time

import pytest

from shared.runtime.databases import create_engine, database_url
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import api_client


@pytest.fixture
async def api(sqlite):
    """The API on empty tables."""
    async with api_client(sqlite, answer_seconds=ANSWER_SECONDS) as api:
        yield api


async def project_to(engine, offset):
    """Says how far hospital.jobs was projected."""
    async with engine.begin() as connection:
        statement = "INSERT OR REPLACE INTO status_offsets VALUES ('hospital.jobs', 0, ?)"
        await connection.exec_driver_sql(statement, (offset,))


async def test_an_unknown_id_is_404_when_the_projection_has_passed_the_end(api, sqlite):
    """At once: there is nothing to wait for."""
    api.ends.end = 5
    await project_to(sqlite, 5)
    began = time.monotonic()
    answer = await api.get("/status/nobody")
    assert (answer.status_code, answer.json()["error_type"]) == (404, "not_found")
    assert time.monotonic() - began < 1


async def test_an_unknown_id_is_503_while_newer_events_are_unread(api, sqlite):
    """Within 2 s, and the client is told to ask again."""
    api.ends.end = 6
    await project_to(sqlite, 5)
    began = time.monotonic()
    answer = await api.get("/jobs/nobody/rows")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert 1 < time.monotonic() - began < 2


async def test_an_unknown_id_is_503_where_nothing_was_ever_projected(api):
    """No offset is no answer."""
    assert (await api.get("/status/nobody")).status_code == 503


async def test_an_id_that_is_projected_while_its_caller_waits_is_found(api, sqlite):
    """The upload was answered a moment before."""
    api.ends.end = 6
    await project_to(sqlite, 5)
    asked = asyncio.create_task(api.get("/status/job-1"))
    await asyncio.wait([asked], timeout=0.3)
    assert not asked.done()
    await apply_events(sqlite, JobHistory().accepted())
    api.change_signal.announce()
    assert (await asked).status_code == 200


async def test_an_id_in_the_very_events_that_pass_the_end_is_found(api, sqlite):
    """The offset is read before the job is looked for, never after: what is projected between the two is found."""
    api.ends.end = 6
    await project_to(sqlite, 5)

    async def project_it():
        await apply_events(sqlite, JobHistory().accepted())
        await project_to(sqlite, 6)

    api.database.after(2, project_it)  # the first question looked for the job, in vain
    assert (await api.get("/status/job-1")).status_code == 200


async def test_an_unknown_id_is_503_when_kafka_is_down(api):
    """Nobody can tell where the topic ends."""
    api.ends.end = None
    answer = await api.get("/status/nobody")
    assert (answer.status_code, answer.json()["error_type"]) == (503, "message_queue_unavailable")


async def test_a_known_id_is_answered_when_kafka_is_down(api, sqlite):
    """The tables know."""
    api.ends.end = None
    await apply_events(sqlite, JobHistory().accepted())
    assert (await api.get("/status/job-1")).status_code == 200


@pytest.mark.parametrize("name", ["%00", "a%20b", "x" * 200, "%F0%9F%8F%A5", "%27"])
async def test_a_text_that_can_be_no_id_is_404_without_asking_anybody(api, name):
    """PostgreSQL knows no NUL; and nobody has to wait."""
    api.ends.end = None
    assert (await api.get(f"/status/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["/status/job-1", "/jobs", "/jobs/job-1/rows"])
async def test_a_database_that_is_down_is_503_within_2_seconds(tmp_path, path):
    """Named as what it is."""
    engine = create_engine(database_url(f"sqlite:///{tmp_path}/missing/status.db"))
    async with api_client(engine, answer_seconds=ANSWER_SECONDS) as api:
        began = time.monotonic()
        answer = await api.get(path)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "database_unavailable")
    assert time.monotonic() - began < 2
    await engine.dispose()
