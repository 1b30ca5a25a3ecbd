"""Records that nobody should write, on a real broker and PostgreSQL: each is put aside, and stops nothing."""

import json
import os
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from shared.contract.cloud_events import encode
from shared.contract.events import JobOutcome
from shared.contract.topics import MAX_MESSAGE_BYTES
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory, report
from tests.support.status.status_service import StatusService, eventually

#: It cannot be compressed below the 2,704 bytes that PostgreSQL indexes at most.
LONG = os.urandom(4_000).hex()
FIRST_DAY = "0001-01-01T00:00:00+14:00"


def new_job(total=2):
    """A job that nobody else has."""
    return JobHistory(total=total, job_id=str(uuid4()))


@pytest.fixture
async def service(kafka_bootstrap, topic_prefix, postgres_url, free_port, tmp_path):
    """A status service on PostgreSQL."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    service = StatusService(settings, postgres_url, free_port, tmp_path / "status.log")
    assert await service.run("migrate") == 0
    async with service:
        yield service


def poison(topics):
    """Topic, key, value and headers of records: everything that we know of that once stopped something for good."""
    job = new_job()
    bad = [
        (topics.jobs, job.accepted(), {"job_id": LONG}),
        (topics.jobs, job.accepted(), {"batch_ids": [LONG]}),
        (topics.jobs, job.accepted(), {"tenant": LONG}),
        (topics.jobs, job.accepted(), {"file_name": "a\0b"}),
        (topics.jobs, job.activated(), {"request_id": LONG}),
        (topics.jobs, job.finished(JobOutcome.SOME_FAILED), {"round": 2**31 - 1}),
        (topics.jobs, job.retried(2), {"job_id": "a\0b"}),
        (topics.jobs, job.cancelled(), {"settles_at": FIRST_DAY}),
        (topics.results, job.created(2), {"job_id": LONG}),
        (topics.results, job.created(2), {"started_at": FIRST_DAY}),
        (topics.results, job.created(2), {"name": "\ud800"}),
        (topics.results, job.created(2), {"columns": {"a\0" + "b" * 300_000: 7}}),
        (topics.processors, report(), {"instance": LONG}),
        (topics.processors, report(), {"rows_per_second": float("nan")}),
    ]
    for topic, event, fields in bad:
        made = encode(event, "test")
        value = json.dumps(json.loads(made.value) | fields).encode()
        key = value[:4_000] if "job_id" in fields else made.key
        yield topic, key, value, made.headers
    for topic, event in (
        (topics.jobs, job.accepted()),
        (topics.results, job.created(2)),
        (topics.processors, report()),
    ):
        made = encode(event, "test")
        yield topic, made.key, made.value, [header for header in made.headers if header[0] != "ce_type"]
        yield topic, made.key, None, made.headers
        if topic != topics.processors:  # it is compacted: Kafka takes no record without a key
            yield topic, None, b"", made.headers
        yield topic, made.key, b"x" * (MAX_MESSAGE_BYTES - 1_500), made.headers


async def test_every_such_record_is_a_dead_letter_and_the_jobs_behind_it_go_on(service):
    """On results, jobs and processors; in front of, between and behind what is good."""
    records = list(poison(service.topics))
    options = kafka_options.producer_options(service.settings) | {"max_request_size": 2 * MAX_MESSAGE_BYTES}
    jobs = []
    async with AIOKafkaProducer(**options) as producer:
        for topic, key, value, headers in records:
            job = new_job()
            jobs.append(job)
            await service.write(job.accepted())
            await producer.send_and_wait(topic, value, key, headers=headers)
            await service.write(job.created(2), job.failed(3))
    for job in jobs:
        await service.shows(job.about["job_id"], status="completed", outcome="some_failed")

    async def are_all_there():
        return len(await service.records(service.topics.dead_letters)) >= len(records)

    await eventually(are_all_there)
    letters = await service.records(service.topics.dead_letters)
    assert len(letters) == len(records)
    assert all({"reason", "topic", "partition", "offset"} <= dict(letter.headers).keys() for letter in letters)
    await service.ready()
    metrics = (await service.http.get("/metrics")).text
    assert "hospital_status_projection_restarts_total 0.0" in metrics


async def test_a_rebuild_puts_the_same_records_aside_and_writes_no_dead_letter_twice(service):
    """The tables can be made again from topics that hold such records."""
    job = new_job()
    records = list(poison(service.topics))
    options = kafka_options.producer_options(service.settings) | {"max_request_size": 2 * MAX_MESSAGE_BYTES}
    async with AIOKafkaProducer(**options) as producer:
        for topic, key, value, headers in records:
            await producer.send_and_wait(topic, value, key, headers=headers)
    await service.write(job.accepted(), job.created(2), job.failed(3))
    before = await service.shows(job.about["job_id"], status="completed")
    await service.ready()
    assert await service.run("rebuild") == 0
    assert await service.status(job.about["job_id"]) == before
    assert len(await service.records(service.topics.dead_letters)) == len(records)
