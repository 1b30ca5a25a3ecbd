"""The service is asked to end while uploads are in flight: each is finished, or refused and can be sent again."""

import asyncio
import time

import httpx
import pytest

from services.ingest.job_events.prepared_job import PreparedJob
from services.ingest.keys.reservations import LEASE
from services.ingest.publication.job_transaction import JobTransaction
from services.ingest.service import build
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import CSV, ingest, ready, served, settings
from tests.support.ingest.published_jobs import jobs
from tests.support.ingest.raw_upload import raw_upload
from tests.support.ingest.repeating_client import hospitals, succeeds


@pytest.fixture
def where(kafka_bootstrap, topic_prefix):
    """Topics of one test's own."""
    return {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix, "kafka_topic_partitions": 3}


async def test_uploads_in_flight_are_finished_or_refused_and_their_keys_make_one_job_each(tmp_path, where):
    """Small ones in a crowd, and one that takes longer."""
    process = IngestProcess(tmp_path, {name.upper(): str(value) for name, value in where.items()})
    await process.start()
    contents = {"large": hospitals(20_000)} | {f"k{number}": CSV for number in range(20)}

    posts = [asyncio.create_task(raw_upload(process.port, key, content)) for key, content in contents.items()]
    await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
    assert await asyncio.to_thread(process.terminate) == 0
    answers = dict(zip(contents, await asyncio.gather(*posts), strict=True))

    assert {answer.status for answer in answers.values()} <= {202, 503}
    assert all(answer.headers["retry-after"] for answer in answers.values() if answer.status == 503)
    await process.start()
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        made = {key: (await succeeds(client, content, key)).content for key, content in contents.items()}
    process.terminate()
    assert all(made[key] == answer.body for key, answer in answers.items() if answer.status == 202)
    assert len(await jobs(settings(tmp_path, **where))) == len(contents)
    assert "Traceback" not in process.log.read_text()


async def test_an_upload_that_does_not_end_in_time_is_refused_and_its_key_can_be_used_at_once(tmp_path, where):
    """What it has written is never seen; who asks again need not wait for its lease to run out."""
    in_the_middle = asyncio.Event()

    class NeverEnds(JobTransaction):
        async def write(self, job: PreparedJob, jobs_partition: int) -> None:
            await super().write(job, jobs_partition)
            in_the_middle.set()
            await asyncio.Event().wait()

    app = build(settings(tmp_path, **where), transaction_type=NeverEnds)
    async with served(app) as url, httpx.AsyncClient(base_url=url) as client:
        await ready(client)
        post = asyncio.create_task(raw_upload(int(url.rpartition(":")[2]), "k", CSV))
        await in_the_middle.wait()
    refused = await post

    began = time.monotonic()
    async with ingest(tmp_path, **where) as client:
        await succeeds(client, CSV, "k")
    seconds = time.monotonic() - began

    assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
    assert b"interrupted" in refused.body
    assert refused.headers["retry-after"]
    assert seconds < LEASE.total_seconds() / 2
    assert len(await jobs(settings(tmp_path, **where))) == 1
