"""A large upload's transaction is open: what others do meanwhile is seen at once."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from services.ingest.job_events.prepared_job import PreparedJob
from services.ingest.publication.job_transaction import JobTransaction
from services.ingest.publication.upload_budgets import UploadTimeouts
from services.ingest.service import Limits
from services.ingest.settings import IngestSettings
from shared.contract.cloud_events import encode
from shared.contract.events import JobCancelRequested, now
from shared.runtime.kafka import kafka_options
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import events, jobs
from tests.support.ingest.repeating_client import hospitals

PARTITIONS = 3
ROWS = 2_000
#: The upload waits for the test, not for Kafka.
PATIENT = Limits(kafka=UploadTimeouts(small_seconds=30))


@pytest.fixture
def where(kafka_bootstrap, topic_prefix):
    """Topics of one test's own."""
    return {
        "kafka_bootstrap_servers": kafka_bootstrap,
        "kafka_topic_prefix": topic_prefix,
        "kafka_topic_partitions": PARTITIONS,
    }


async def test_express_jobs_and_cancels_are_not_held_up_by_an_open_upload(tmp_path, where):
    """They are on topics, or partitions of `hospital.jobs`, of which that transaction has nothing yet."""
    all_rows_written, go_on = asyncio.Event(), asyncio.Event()

    class Waits(JobTransaction):
        async def write_job_accepted(self, job: PreparedJob, jobs_partition: int) -> None:
            if not job.accepted.express:
                all_rows_written.set()
                await go_on.wait()
            await super().write_job_accepted(job, jobs_partition)

    reading = settings(tmp_path, **where)
    async with ingest(tmp_path, transaction_type=Waits, limits=PATIENT, express_max_rows=1_000, **where) as client:
        await ready(client)
        large = asyncio.create_task(upload(client, hospitals(ROWS), "large"))
        await all_rows_written.wait()

        express = [(await upload(client, CSV, f"small-{number}")).json()["job_id"] for number in range(4)]
        sent = await cancels(reading)
        meanwhile, seen = await jobs(reading), await events(reading, reading.topics.jobs)
        assert not large.done()
        go_on.set()
        job_id = (await large).json()["job_id"]

    assert set(meanwhile) == set(express)
    assert all(len(rows) == 2 for _, rows in meanwhile.values())
    assert all(cancel in seen for cancel in sent)
    assert len((await jobs(reading))[job_id][1]) == ROWS


async def cancels(reading: IngestSettings) -> list[JobCancelRequested]:
    """One on each partition of `hospital.jobs`, as status sends them."""
    sent = [
        JobCancelRequested(occurred_at=now(), tenant="default", job_id=f"job-{partition}")
        for partition in range(PARTITIONS)
    ]
    async with AIOKafkaProducer(**kafka_options.producer_options(reading)) as producer:
        for partition, event in enumerate(sent):
            record = encode(event, "/status", None)
            await producer.send_and_wait(reading.topics.jobs, partition=partition, **record.fields())
    return sent
