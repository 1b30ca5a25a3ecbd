"""Commands on a real broker: a 202 is of a command that stands and is shown, a 503 of one that never will stand."""

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import cycle
from uuid import uuid4

import psutil
import pytest

from deploy.local.ports import free_port as some_free_port
from shared.contract.events import JobCancelRequested, JobOutcome, RowErrorCode
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory
from tests.support.status.status_service import API, StatusService

QUERIES = 200


def new_job(total=3):
    """A job that nobody else has."""
    return JobHistory(total=total, job_id=str(uuid4()))


async def running_jobs(service, count):
    """Jobs of which a row has its result."""
    jobs = [new_job() for _ in range(count)]
    await service.write(*(event for job in jobs for event in (job.accepted(), job.created(2))))
    for job in jobs:
        await service.shows(job.about["job_id"], status="processing")
    return [job.about["job_id"] for job in jobs]


async def cancelled(service):
    """How often each job's cancel stands on the topic."""
    found = await service.read(service.topics.jobs)
    return Counter(event.job_id for event in found if isinstance(event, JobCancelRequested))


async def said(asked):
    """What a caller got: 202, or the kind of error."""
    answer = await asked
    return 202 if answer.status_code == 202 else answer.json()["error_type"]


async def cancel(service, job_id):
    return await service.http.post(f"{API}/jobs/{job_id}/cancel")


@pytest.fixture
async def frozen(own_broker, tmp_path, free_port):
    """A service, and a broker that can be frozen."""
    broker = own_broker()
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap, kafka_topic_partitions=2)
    url = f"sqlite:///{tmp_path}/status.db"
    async with StatusService(settings, url, free_port, tmp_path / "status.log") as service:
        await service.ready()
        yield service, broker


@pytest.mark.parametrize("seconds", [1.5, 12])
async def test_a_command_that_was_answered_503_is_not_carried_out_when_kafka_is_back(frozen, seconds):
    """What was written to a frozen Kafka is read when it goes on; the commit was never written."""
    service, broker = frozen
    first, second = await running_jobs(service, 2)
    assert await said(cancel(service, first)) == 202
    await asyncio.to_thread(broker.pause)
    began = time.monotonic()
    asked = asyncio.create_task(said(cancel(service, second)))
    await asyncio.sleep(seconds if seconds < 2 else 1.9)
    answer = await asked if seconds > 2 else None
    if seconds > 2:
        assert answer == "message_queue_unavailable"
        assert time.monotonic() - began < 2.2
        await asyncio.sleep(seconds - 1.9)
    await asyncio.to_thread(broker.resume)
    answer = answer or await asked
    await service.ready()
    await asyncio.sleep(1)
    assert await cancelled(service) == {first: 1} | ({second: 1} if answer == 202 else {})
    assert await said(cancel(service, second)) == 202
    assert (await cancelled(service))[second] == 1


async def test_whatever_moment_kafka_freezes_in_each_answer_is_true(frozen):
    """202: it stands. message_queue_unavailable: it does not. command_outcome_unknown: nobody has claimed either."""
    service, broker = frozen
    answers = {}
    [first, *jobs] = await running_jobs(service, 9)
    assert await said(cancel(service, first)) == 202
    files = psutil.Process(service.pid).num_fds()
    for job_id in jobs:
        asked = asyncio.create_task(said(cancel(service, job_id)))
        await asyncio.sleep(random.uniform(0, 0.03))
        await asyncio.to_thread(broker.pause)
        await asyncio.sleep(random.choice([0.3, 1.6, 2.5]))
        await asyncio.to_thread(broker.resume)
        answers[job_id] = await asked
        await service.ready()
    await asyncio.sleep(6)
    standing = await cancelled(service)
    expected = {"message_queue_unavailable": {0}, 202: {1}, "command_not_shown": {1}, "command_outcome_unknown": {0, 1}}
    assert psutil.Process(service.pid).num_fds() <= files + 6, "each freeze leaves connections behind"
    wrong = {job_id: answer for job_id, answer in answers.items() if standing[job_id] not in expected[answer]}
    assert wrong == {}, f"{answers}; on the topic: {standing}"


async def test_every_status_after_a_202_knows_of_the_command_on_both_replicas(
    kafka_bootstrap, topic_prefix, postgres_url, tmp_path
):
    """Whichever of them took it and whichever projects it, while results come in all the time."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    async with AsyncExitStack() as stack:
        services = [
            StatusService(settings, postgres_url, some_free_port(), tmp_path / f"{number}.log") for number in range(2)
        ]
        assert await services[0].run("migrate") == 0
        for service in services:
            await stack.enter_async_context(service)
        for service in services:
            await service.ready()
        busy = asyncio.create_task(keep_busy(services[0]))
        try:
            for number in range(2):
                await cancel_is_known(services, number)
                await retry_is_known(services, number)
                await resolve_is_known(services, number)
        finally:
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)


async def keep_busy(service):
    """Results of another job, a few hundred at a time."""
    job = new_job(total=1_000_000)
    for first in range(2, 1_000_000, 200):
        await service.write(*(job.created(row) for row in range(first, first + 200)))
        await asyncio.sleep(0.2)


async def ask_everywhere(services, path, is_known):
    """Asks both replicas in turn; returns the answers that know nothing of the command."""
    urls = cycle(services)
    answers = [(await next(urls).http.get(f"{API}{path}")).json() for _ in range(QUERIES)]
    return [answer for answer in answers if not is_known(answer)]


async def cancel_is_known(services, taker):
    job = new_job()
    job_id = job.about["job_id"]
    await services[0].write(job.accepted(), job.created(2))
    await services[taker].shows(job_id, status="processing")
    assert (await services[taker].http.post(f"{API}/jobs/{job_id}/cancel")).status_code == 202
    assert await ask_everywhere(services, f"/status/{job_id}", lambda answer: answer["cancel_requested_at"]) == []


async def retry_is_known(services, taker):
    job = new_job()
    job_id = job.about["job_id"]
    await services[0].write(job.accepted(), job.created(2), job.failed(3), job.failed(4))
    await services[taker].shows(job_id, status="completed")
    assert (await services[taker].http.post(f"{API}/jobs/{job_id}/retry")).status_code == 202
    assert await ask_everywhere(services, f"/status/{job_id}", lambda answer: answer["status"] == "processing") == []


async def resolve_is_known(services, taker):
    job = new_job()
    job_id = job.about["job_id"]
    unknown = job.failed(4, code=RowErrorCode.OUTCOME_UNKNOWN)
    await services[0].write(job.accepted(), job.created(2), job.failed(3), unknown)
    await services[taker].shows(job_id, status="completed", outcome=JobOutcome.SOME_FAILED.value)
    answer = await services[taker].http.post(f"{API}/jobs/{job_id}/rows/4/resolve", json={"hospital_id": 77})
    assert answer.status_code == 202
    assert await ask_everywhere(services, f"/status/{job_id}", lambda answer: answer["created_hospitals"] == 2) == []
