"""Status processes that die while results come in: every count stays exact, one replica or two."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from deploy.local.ports import free_port
from shared.contract.events import JobFinished
from shared.runtime.settings import KafkaSettings
from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.support.status.job_histories import JobHistory
from tests.support.status.status_service import API, StatusService, eventually

JOBS = 4
ROWS = sized(500, 5_000)
KILLS = sized(2, 10)
#: Every so many rows one fails.
FAILS = 7
#: In which the results between two kills are written.
PIECES = 20
PARTITIONS = 4

Start = Callable[[str, int], Awaitable[list[StatusService]]]


@pytest.fixture
async def start(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts that many replicas on one database."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=PARTITIONS
    )
    async with AsyncExitStack() as stack:

        async def start(url: str, count: int) -> list[StatusService]:
            logs = [tmp_path / f"status-{number}.log" for number in range(count)]
            services = [StatusService(settings, url, free_port(), log) for log in logs]
            assert url.startswith("sqlite") or await services[0].run("migrate") == 0
            return [await stack.enter_async_context(service) for service in services]

        yield start


async def test_one_replica_that_is_killed_again_and_again_counts_every_row_once(
    start: Start, tmp_path: Path, chance: random.Random, kept: Kept
):
    """On SQLite, with some results written twice."""
    (service,) = await start(f"sqlite:///{tmp_path}/status.db", 1)
    jobs = await write_while_killing([service], chance)
    await settled(service, jobs)
    kept(f"kill -9 of status {KILLS} times in {JOBS * ROWS:,} results: every count exact, one JobFinished a job")


async def test_two_replicas_that_are_killed_in_turn_share_the_work_and_count_every_row_once(
    start: Start, postgres_url: str, chance: random.Random, kept: Kept
):
    """On PostgreSQL: what one has projected the other does not."""
    services = await start(postgres_url, 2)
    jobs = await write_while_killing(services, chance)
    for service in services:
        await settled(service, jobs)
    await eventually(lambda: shared(services))
    kept(f"kill -9 of one of two status replicas {KILLS} times in {JOBS * ROWS:,} results: every count exact, shared")


async def test_a_command_to_the_replica_that_is_left_is_accepted_when_every_answer_knows_of_it(
    start: Start, postgres_url: str, chance: random.Random, kept: Kept
):
    """The other one is killed with half of the partitions: for some seconds nobody projects them."""
    services = await start(postgres_url, 2)
    for service in services:
        await service.ready()
    await eventually(lambda: shared(services))
    jobs = [JobHistory(total=2, job_id=str(uuid4())) for _ in range(3 * PARTITIONS)]
    await services[0].write(*(event for job in jobs for event in (job.accepted(), job.created(2))))
    for job in jobs:
        await services[0].shows(job.about["job_id"], status="processing")
    chance.shuffle(services)
    left, dead = services
    await dead.kill()
    answers = await asyncio.gather(*(cancel(left, job) for job in jobs))
    assert {status for status, _ in answers} == {202}
    assert all(known for _, known in answers)
    kept(f"{len(jobs)} cancels after kill -9 of one of two status replicas: each 202 was known to the next answer")


async def cancel(service: StatusService, job: JobHistory) -> tuple[int, bool]:
    """What the caller gets, and whether the very next answer knows of it."""
    job_id = job.about["job_id"]
    answer = await service.http.post(f"{API}/jobs/{job_id}/cancel")
    return answer.status_code, bool((await service.status(job_id)).get("cancel_requested_at"))


async def write_while_killing(services: list[StatusService], chance: random.Random) -> list[JobHistory]:
    """The jobs whose results were written, a part of them before each kill."""
    jobs = [JobHistory(total=ROWS, batches=ROWS // 1000 + 1, job_id=str(uuid4())) for _ in range(JOBS)]
    await services[0].write(*(job.accepted() for job in jobs))
    cuts = [2 + ROWS * part // (KILLS + 1) for part in range(KILLS + 2)]
    for first, end in pairwise(cuts):
        before = JOBS * (first - 2)

        async def is_caught_up(before: int = before) -> bool:
            return await done(services, jobs) >= before

        await eventually(is_caught_up)  # so that the next kill, too, comes in the middle of something
        writing = asyncio.create_task(write(services[0], jobs, range(first, end)))

        async def has_moved(before: int = before) -> bool:
            return await done(services, jobs) > before

        await eventually(has_moved)
        if end < ROWS + 2:
            await asyncio.sleep(chance.random() * 0.2)
            victim = chance.choice(services)
            await victim.kill()
            await victim.start()
        await writing
    return jobs


async def write(service: StatusService, jobs: list[JobHistory], rows: range) -> None:
    """The results of these rows of every job, some of them twice; slowly, so that the kill comes in the middle."""
    piece = max(len(rows) // PIECES, 1)
    for first in rows[::piece]:
        part = range(first, min(first + piece, rows.stop))
        for job in jobs:
            events = [job.failed(row) if row % FAILS == 0 else job.created(row) for row in part]
            await service.write(*events, *events[:3])
        await asyncio.sleep(0.05)


async def done(services: list[StatusService], jobs: list[JobHistory]) -> int:
    """How many rows have their result, as the replica says that answers first."""
    for service in services:
        try:
            answers = [await service.status(job.about["job_id"]) for job in jobs]
        except httpx.TransportError:
            continue  # it has just been killed
        return sum(answer.get("processed_hospitals", 0) for answer in answers)
    return 0


async def settled(service: StatusService, jobs: list[JobHistory]) -> None:
    """Every count is what was written, and every job has been called finished once."""
    failed = sum(row % FAILS == 0 for row in range(2, ROWS + 2))
    for job in jobs:
        exact = {"created_hospitals": ROWS - failed, "failed_hospitals": failed, "unprocessed_hospitals": 0}
        await service.shows(job.about["job_id"], status="completed", outcome="some_failed", **exact)
    finished = [event for event in await service.read(service.topics.jobs) if isinstance(event, JobFinished)]
    assert {event.event_id for event in finished} == {f"{job.about['job_id']}:JobFinished:1" for job in jobs}
    assert {event.failed_hospitals for event in finished} == {failed}


async def shared(services: list[StatusService]) -> bool:
    """Whether every partition of results has one replica, and every replica some."""
    owned = [await partitions(service) for service in services]
    return all(owned) and sorted(number for each in owned for number in each) == list(range(PARTITIONS))


async def partitions(service: StatusService) -> list[int]:
    """The partitions of results that the replica has."""
    text = (await service.http.get("/metrics")).text
    lines = re.findall(
        r'^hospital_status_projection_lag_records\{partition="(\d+)",topic="(\S+)"\}', text, re.MULTILINE
    )
    return [int(number) for number, topic in lines if topic == service.topics.results]
