"""Event streams over a real socket: what watchers get, and what they cost."""

import asyncio
import hashlib
import socket
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest
from sqlalchemy import event

from services.status.metrics import WATCHERS
from shared.contract.events import JobOutcome
from shared.runtime.settings import ApiKey
from tests.support.status.job_histories import JobHistory, apply_events, report
from tests.support.status.live_server import serve_api, watch_job
from tests.support.status.status_api import FAST_TIMINGS, api_client
from tests.support.status.status_service import eventually
from tests.support.until import until


@pytest.fixture
async def api(engine):
    """The API on empty tables, of either database; its clock stands still."""
    async with api_client(engine) as api:
        api.clock.set(20)
        yield api


@pytest.fixture
async def url(api):
    """Where it is served."""
    async with serve_api(api) as url:
        yield url


async def watchers(number):
    """Waits until so many streams are open."""

    async def are_open():
        return WATCHERS._value.get() == number

    await eventually(are_open)


async def test_progress_as_it_happens_and_the_final_state_last(api, engine, url):
    """Each says what the status says at that moment; then the stream ends."""
    job = JobHistory(total=2)
    await apply_events(engine, job.accepted(), report(seconds=19))
    async with watch_job(url) as events:
        heard = [await anext(events)]
        for news in (job.failed(2), job.failed(3), job.finished(JobOutcome.NONE_CREATED)):
            await apply_events(engine, news)
            heard.append(await anext(events))
            status = (await api.get("/status/job-1")).json()
            assert heard[-1].data == {name: status[name] for name in status.keys() - {"batch_ids", "result"}}
        assert [each async for each in events] == []
    assert [each.data["processed_hospitals"] for each in heard] == [0, 1, 2, 2]
    assert [each.name for each in heard] == ["progress", "progress", "progress", "finished"]
    assert len({each.id for each in heard}) == 4
    await watchers(0)


async def test_a_job_that_has_ended_says_so_to_whoever_comes(engine, url):
    """Also to those who have had it before: the final state is always sent."""
    job = JobHistory(total=1)
    await apply_events(engine, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    async with watch_job(url) as events:
        [last] = [each async for each in events]
    assert (last.name, last.data["status"]) == ("finished", "failed")
    async with watch_job(url, last_id=last.id) as events:
        assert [each async for each in events] == [last]


async def test_who_comes_back_is_told_what_was_missed_and_nothing_twice(engine, url):
    """`Last-Event-ID` says what was heard last, wherever and whenever."""
    job = JobHistory(total=5)
    await apply_events(engine, job.accepted())
    async with watch_job(url) as events:
        heard = await anext(events)
    await apply_events(engine, job.failed(2))
    async with watch_job(url, last_id=heard.id) as events:
        missed = await anext(events)
        assert missed.data["processed_hospitals"] == 1
    async with watch_job(url, last_id=missed.id) as events:
        await watchers(1)
        await apply_events(engine, job.failed(3))
        assert (await anext(events)).data["processed_hospitals"] == 2


async def test_another_replica_calls_the_same_state_the_same_and_sees_what_the_first_projected(api, engine, url):
    """An id means the same everywhere, and nobody announces the other's commits."""
    job = JobHistory(total=5)
    await apply_events(engine, job.accepted())
    async with api_client(engine) as other, serve_api(other) as elsewhere:
        async with watch_job(url) as events:
            heard = await anext(events)
        async with watch_job(elsewhere) as events:
            assert await anext(events) == heard
        async with watch_job(elsewhere, last_id=heard.id) as events:
            await watchers(1)
            await apply_events(engine, job.failed(2))
            assert (await anext(events)).data["processed_hospitals"] == 1


async def test_an_estimate_that_creeps_is_no_news(api, engine, url):
    """Else every stream would have an event a second in which nothing has happened."""
    job = JobHistory(total=50)
    await apply_events(
        engine, job.accepted(), *(job.created(row, seconds=19) for row in range(2, 12)), report(seconds=19)
    )
    async with watch_job(url) as events:
        first = await anext(events)
        api.clock.set(21)
        await asyncio.sleep(0.2)  # several queries
        await apply_events(engine, job.created(12, seconds=21))
        second = await anext(events)
    assert first.data["eta_seconds"] is not None
    assert (first.data["created_hospitals"], second.data["created_hospitals"]) == (10, 11)


async def test_why_it_waits_is_news(engine, url):
    """Though no row has moved."""
    job = JobHistory(total=50)
    await apply_events(engine, job.accepted(), job.created(2), report(seconds=19))
    async with watch_job(url) as events:
        assert (await anext(events)).data["waiting_for"] is None
        await apply_events(engine, report(seconds=20, paused=True))
        assert (await anext(events)).data["waiting_for"] == "paused"


@pytest.mark.no_cover  # what one watcher shows as well, a thousand times
async def test_a_thousand_watchers_cost_one_database_query_a_refresh(sqlite):
    """Over real connections; each of them gets the final state."""
    crowd = 1_000
    job = JobHistory(total=2)
    await apply_events(sqlite, job.accepted())
    async with api_client(sqlite) as api, serve_api(api) as url:
        streams = []
        while len(streams) < crowd:
            streams += await asyncio.gather(*(open_stream(url, "job-1") for _ in range(50)))
        await watchers(crowd)
        statements, counts = [], []
        refresh = api.job_watchers.refresh

        async def counted_refresh():
            counts.append(len(statements))
            await refresh()

        api.job_watchers.refresh = counted_refresh
        event.listen(
            api.database.statements,
            "before_cursor_execute",
            lambda *statement_args: statements.append(statement_args[2]),
        )

        async def have_asked():
            return len(counts) > 5

        await eventually(have_asked)
        assert {after - before for before, after in pairwise(counts)} == {1}, statements
        await apply_events(sqlite, job.failed(2), job.failed(3), job.finished(JobOutcome.NONE_CREATED))
        heard = await asyncio.gather(*(reader.read() for reader, _ in streams))
        assert sum(b"event: finished" in each for each in heard) == crowd
        for _, writer in streams:
            writer.close()
        await watchers(0)


async def open_stream(url, job_id):
    """The same, once it is answered: who would have to wait for over 1.7 s is sent away, and comes again."""
    while True:
        reader, writer = await request_stream(url, job_id)
        if b" 200 " in await reader.readline():
            return reader, writer
        writer.close()


async def request_stream(url, job_id, receive_buffer=None):
    """A connection on which the stream was asked for."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connection, limit=2_048)
    path = f"/api/v1/hospitals/jobs/{job_id}/events"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: status\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


async def test_a_reader_who_takes_nothing_is_dropped_and_holds_up_nobody(sqlite):
    """Its place is free again; the others hear everything."""
    timings = replace(FAST_TIMINGS, slow_reader=0.5)
    job = JobHistory(total=2_000)
    long_name = "h" * 20_000  # so that few events fill what the kernel keeps for a reader
    await apply_events(sqlite, job.accepted().model_copy(update={"file_name": long_name}))
    async with (
        api_client(sqlite, timings=timings) as api,
        serve_api(api, send_buffer=4_096) as url,
        watch_job(url) as events,
    ):
        await anext(events)
        _, stuck = await request_stream(url, "job-1", receive_buffer=2_048)
        await watchers(2)
        row = 2
        while WATCHERS._value.get() == 2:
            await apply_events(sqlite, job.failed(row))
            api.change_signal.announce()
            assert (await anext(events)).data["failed_hospitals"] == row - 1
            row += 1
        stuck.close()
        await apply_events(sqlite, job.failed(row))
        assert (await anext(events)).data["failed_hospitals"] == row - 1


async def test_when_the_service_stops_every_stream_ends_at_once(sqlite):
    """In order, with its last chunk, whenever the next look would have been."""
    timings = replace(FAST_TIMINGS, poll=1_000)
    await apply_events(sqlite, JobHistory().accepted())
    async with api_client(sqlite, timings=timings) as api, serve_api(api) as url, watch_job(url) as events:
        await anext(events)
        api.job_watchers.stopping.set()
        assert [each async for each in events] == []
        await watchers(0)


async def test_a_database_that_is_away_ends_no_stream(sqlite):
    """News come when it is back."""
    job = JobHistory(total=5)
    await apply_events(sqlite, job.accepted())
    async with api_client(sqlite) as api, serve_api(api) as url, watch_job(url) as events:
        await anext(events)
        api.database.fail(range(1, 1_000_000))
        await until("the tables were asked in vain", lambda: api.database.asked > 0, 30)
        api.database.fail(())
        await apply_events(sqlite, job.failed(2))
        assert (await anext(events)).data["failed_hospitals"] == 1


async def test_a_job_that_is_deleted_ends_its_streams(sqlite):
    """Without a final state: there is none any more."""
    await apply_events(sqlite, JobHistory().accepted())
    async with api_client(sqlite) as api, serve_api(api) as url, watch_job(url) as events:
        await anext(events)
        async with sqlite.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM status_jobs")
        assert [each async for each in events] == []


async def test_a_comment_comes_while_nothing_happens_and_nothing_in_between_buffers(sqlite):
    """So that no proxy thinks that the connection is dead, and none keeps events back."""
    timings = replace(FAST_TIMINGS, ping=0.05)
    await apply_events(sqlite, JobHistory().accepted())
    async with (
        api_client(sqlite, timings=timings) as api,
        serve_api(api) as url,
        httpx.AsyncClient() as http,
        http.stream("GET", f"{url}/api/v1/hospitals/jobs/job-1/events") as answer,
    ):
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Cache-Control"] == "no-store"
        async for line in answer.aiter_lines():
            if line.startswith(": ping"):
                break


async def test_another_tenants_stream_is_404_and_one_of_a_job_not_read_yet_503(sqlite):
    """As the status answers."""
    keys = tuple(ApiKey(tenant=each, sha256=hashlib.sha256(each.encode()).hexdigest()) for each in ("north", "south"))
    job = JobHistory(total=1)
    await apply_events(sqlite, job.accepted(), job.failed(2), job.finished(JobOutcome.NONE_CREATED))
    async with sqlite.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO status_offsets VALUES ('hospital.jobs', 0, 2)")
    async with api_client(sqlite, keys, answer_seconds=1) as api:
        assert (await api.get("/jobs/job-1/events")).status_code == 401
        for tenant, status in (("north", 200), ("south", 404)):
            assert (await api.get("/jobs/job-1/events", headers={"X-API-Key": tenant})).status_code == status
        api.ends.end = 3
        unread = await api.get("/jobs/job-2/events", headers={"X-API-Key": "north"})
    assert (unread.status_code, unread.json()["error_type"]) == (503, "not_known_yet")
