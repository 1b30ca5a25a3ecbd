"""People who watch a job while the status service is killed under them, again and again."""

import asyncio
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest

from shared.runtime.settings import KafkaSettings
from tests.chaos.size import sized
from tests.support.status.job_histories import JobHistory
from tests.support.status.live_server import NotWatched, ServerEvent, watch_job
from tests.support.status.status_service import StatusService, eventually

RESULTS = sized(1_000, 20_000)
KILLS = sized(3, 10)
WATCHERS = 4
CHUNK = 50


@pytest.fixture
async def service(kafka_bootstrap, topic_prefix, tmp_path, free_port):
    """A status service on SQLite that has been started."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    async with StatusService(settings, f"sqlite:///{tmp_path}/status.db", free_port, tmp_path / "log") as service:
        yield service


async def test_watchers_who_come_back_miss_nothing(service, kept):
    """No state comes twice, none of the past comes after a newer one, and everybody hears how it ended."""
    job = JobHistory(total=RESULTS, batches=RESULTS // 1_000, job_id=str(uuid4()))
    job_id = job.about["job_id"]
    await service.write(job.accepted())
    await service.shows(job_id, status="pending")
    diaries: list[list[ServerEvent]] = [[] for _ in range(WATCHERS)]
    watching_all = [asyncio.create_task(watch(str(service.http.base_url), job_id, diary)) for diary in diaries]

    async def keep_writing():
        for first in range(2, RESULTS + 2, CHUNK):
            rows = range(first, min(first + CHUNK, RESULTS + 2))
            await service.write(*(job.failed(row) if row % 7 == 0 else job.created(row) for row in rows))
            await asyncio.sleep(0.05)

    writing = asyncio.create_task(keep_writing())
    for _ in range(KILLS):
        before = [len(diary) for diary in diaries]

        async def have_heard_more(before=before):
            return writing.done() or all(len(diary) > done for diary, done in zip(diaries, before, strict=True))

        await eventually(have_heard_more)
        await service.kill()
        await service.start()
    await writing
    async with asyncio.timeout(120):
        connections = await asyncio.gather(*watching_all)

    failed = sum(row % 7 == 0 for row in range(2, RESULTS + 2))
    for diary in diaries:
        last = diary[-1].data
        assert (diary[-1].name, last["status"], last["outcome"]) == ("finished", "completed", "some_failed")
        assert (last["created_hospitals"], last["failed_hospitals"]) == (RESULTS - failed, failed)
        assert all(event.name == "progress" for event in diary[:-1])
        done = [event.data["processed_hospitals"] for event in diary]
        assert done == sorted(done), "a state of the past came after a newer one"
        states = [event.data | {"eta_seconds": None} for event in diary]
        assert all(before != after for before, after in pairwise(states)), "a state came twice"
    kept(
        f"{WATCHERS} watchers of {RESULTS:,} results missed nothing in {KILLS} kills of status: "
        f"{sum(map(len, diaries))} events in {sum(connections)} attempts to connect"
    )


async def watch(url: str, job_id: str, diary: list[ServerEvent]) -> int:
    """Writes down every event until the last, coming back whenever the stream breaks; returns how often it tried."""
    connections = 0
    while not diary or diary[-1].name != "finished":
        connections += 1
        try:
            async with watch_job(url, job_id, diary[-1].id if diary else None) as events:
                async for event in events:
                    diary.append(event)  # noqa: PERF401 - each at once: the stream may break
        except (httpx.TransportError, NotWatched):
            await asyncio.sleep(0.05)
    return connections


async def test_a_service_that_is_asked_to_stop_ends_its_streams_in_order(service):
    """With the last chunk. Waiting for the readers to leave would cut the streams off after 8 s."""
    job = JobHistory(job_id=str(uuid4()))
    await service.write(job.accepted())
    await service.shows(job.about["job_id"], status="pending")
    async with watch_job(str(service.http.base_url), job.about["job_id"]) as events:
        await anext(events)
        stopping = asyncio.create_task(service.stop())
        assert [event async for event in events] == []
        assert await stopping == 0
