"""A thousand people who begin to watch at one instant: a link was sent round, or a proxy was started anew."""

import asyncio

import pytest
from sqlalchemy import event

from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.live_server import serve_api
from tests.support.status.status_api import api_client

WATCHERS = 1_000


@pytest.fixture
async def api(engine):
    """One job, of which the tables know."""
    await apply_events(engine, JobHistory(total=5).accepted())
    async with api_client(engine) as api:
        yield api


def statements(api):
    """What the tables are asked from now on."""
    asked = []
    event.listen(api.database.statements, "before_cursor_execute", lambda *of: asked.append(of[2]))
    return asked


async def first_event(port, job_id="job-1"):
    """The status line and what comes first of a stream, over a socket of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/hospitals/jobs/{job_id}/events HTTP/1.1\r\nHost: status\r\n\r\n".encode())
    try:
        line = (await reader.readline()).decode()
        if "200" in line:
            await reader.readuntil(b"event: progress")
        return line.strip()
    finally:
        writer.close()


@pytest.mark.no_cover  # what one watcher shows as well, a thousand times
async def test_a_thousand_begin_at_one_instant_and_none_is_sent_away(api, engine):
    """They share the question: a thousand connections to the database are not there."""
    async with serve_api(api) as url:
        asked = statements(api)
        port = int(url.rpartition(":")[2])
        answers = await asyncio.gather(*(first_event(port) for _ in range(WATCHERS)))
    assert set(answers) == {"HTTP/1.1 200 OK"}
    assert len(asked) < WATCHERS / 10


async def test_those_who_come_while_the_database_is_away_all_hear_so_in_time(sqlite):
    """Also those who came while others were already asking; with Retry-After."""
    async with api_client(sqlite, answer_seconds=0.5) as api:
        api.database.silent = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = asyncio.gather(*(api.get("/jobs/job-1/events") for _ in range(5)))
        await asyncio.sleep(0.2)
        later = asyncio.gather(*(api.get("/jobs/job-1/events") for _ in range(5)))
        answers = [*await first, *await later]
    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.headers["Retry-After"] for answer in answers)
    assert loop.time() - began < 0.9


async def test_a_name_that_cannot_be_a_job_is_not_asked_for(api, engine):
    """PostgreSQL refuses a NUL, and it would be the answer to everybody who asked at that moment."""
    asked = statements(api)
    assert (await api.get("/jobs/%00/events")).status_code == 404
    assert asked == []
