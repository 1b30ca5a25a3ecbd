"""The tables made again from the topics, by the command itself on a real broker: every answer is the same."""

import asyncio
from uuid import uuid4

import pytest

from shared.contract.cloud_events import encode
from shared.contract.events import JobFinished, JobOutcome, RowErrorCode, now
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory
from tests.support.status.status_service import API, StatusService, eventually


@pytest.fixture
def settings(kafka_bootstrap, topic_prefix):
    """An installation of its own on the shared broker."""
    return KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )


@pytest.fixture(params=["sqlite", "postgresql"])
async def service(request, settings, free_port, tmp_path):
    """A status service that has been started, on each database."""
    url = f"sqlite:///{tmp_path}/status.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with StatusService(settings, url, free_port, tmp_path / "status.log") as service:
        if request.param == "postgresql":  # SQLite is migrated by the service itself
            assert await service.run("migrate") == 0
        yield service


def new_jobs(number):
    return [JobHistory(total=4, job_id=str(uuid4())) for _ in range(number)]


async def answers(service, jobs):
    """Everything that the API says of these jobs."""
    paths = ["/jobs?limit=50"]
    for job in jobs:
        job_id = job.about["job_id"]
        paths += [f"/status/{job_id}", f"/jobs/{job_id}/rows", f"/jobs/{job_id}/successful.csv"]
        paths += [f"/jobs/{job_id}/failed.csv", f"/jobs/{job_id}/unprocessed.csv"]
    found = [await service.http.get(f"{API}{path}") for path in paths]
    assert {answer.status_code for answer in found} == {200}
    return [answer.text for answer in found]


async def finishes(service):
    """The ids of JobFinished on the topic, each as often as it is there."""
    return sorted(event.event_id for event in await service.read(service.topics.jobs) if isinstance(event, JobFinished))


async def test_a_rebuild_gives_the_same_answers_and_sends_nothing(service):
    """While the service runs: jobs of every outcome, a retry, a decision, a result that cannot be read."""
    good, retried, resolved, bad = jobs = new_jobs(4)
    await service.write(*(job.accepted(number) for number, job in enumerate(jobs)))
    await service.write(*(good.created(row) for row in range(2, 6)), good.activated())
    await service.write(*(retried.failed(row) for row in range(2, 6)))
    await service.shows(retried.about["job_id"], outcome=JobOutcome.NONE_CREATED.value)
    await service.write(
        retried.retried(2), *(retried.created(row, round_=2) for row in range(2, 5)), retried.failed(5, 2)
    )
    await service.write(*(resolved.failed(row, code=RowErrorCode.OUTCOME_UNKNOWN) for row in range(2, 6)))
    await service.write(resolved.resolved(2, hospital_id=77), resolved.resolved(3, hospital_id=None))
    await service.write(*(bad.created(row) for row in range(2, 5)))
    unreadable = encode(bad.created(5), "test")
    await service.producer.send_and_wait(service.topics.results, b"{", unreadable.key, headers=unreadable.headers)
    for job in jobs:
        await service.shows(job.about["job_id"], status="completed")

    async def are_finished():
        return len(await finishes(service)) == 5

    await eventually(are_finished)
    before, sent = await answers(service, jobs), await finishes(service)
    letters = len(await service.records(service.topics.dead_letters))

    assert await service.run("rebuild") == 0

    assert await answers(service, jobs) == before
    (later,) = new_jobs(1)
    await service.write(later.accepted(), later.created(2), *(later.failed(row) for row in range(3, 6)))
    await service.shows(later.about["job_id"], status="completed", outcome="some_failed")
    assert await finishes(service) == sorted([*sent, f"{later.about['job_id']}:JobFinished:1"])
    assert len(await service.records(service.topics.dead_letters)) == letters


async def test_results_that_come_during_a_rebuild_are_all_there_afterwards(service):
    """Also those that only the old tables had when the new ones took their place."""
    job = JobHistory(total=1, job_id=str(uuid4()))
    rebuilt = asyncio.Event()

    async def keep_writing():
        row = 2
        while not rebuilt.is_set():
            # Old results without their JobAccepted would be those of a job that the housekeeping has deleted.
            moment = {"started_at": now(), "occurred_at": now()}
            await service.write(job.failed(row).model_copy(update=moment))
            row += 1
            await asyncio.sleep(0.005)  # 200 a second are enough to come at every moment
        return row - 2

    writing = asyncio.create_task(keep_writing())
    assert await service.run("rebuild") == 0
    rebuilt.set()
    job.total = await writing
    await service.write(job.accepted().model_copy(update={"occurred_at": now()}))
    answer = await service.shows(job.about["job_id"], status="failed", failed_hospitals=job.total)
    assert answer["outcome"] == "none_created"
    assert await finishes(service) == [f"{job.about['job_id']}:JobFinished:1"]


async def test_without_kafka_the_tables_stay_as_they_are(settings, tmp_path, free_port):
    """One line says so; it names what is missing."""
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{free_port}"})
    url = f"sqlite:///{tmp_path}/status.db"
    log = tmp_path / "status.log"
    service = StatusService(nowhere, url, free_port, log)
    assert await service.run("rebuild") == 2
    assert log.read_text().strip().splitlines()[-1].endswith("The tables are as they were")
