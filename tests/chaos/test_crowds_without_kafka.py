"""Many uploads in the same moment, while Kafka is away and when it is back."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx

from tests.chaos.size import sized
from tests.chaos.test_uploads_die import accepted, hospitals
from tests.ingest.ingest_process import IngestProcess
from tests.ingest.ingest_server import settings
from tests.ingest.published import jobs
from tests.ingest.raw_upload import raw_upload

CROWD = sized(60, 200)


async def test_a_crowd_before_a_frozen_kafka_is_told_to_come_back_and_then_gets_one_job_for_each_key(
    tmp_path: Path, own_broker, kept
):
    """Nobody waits for long, and no key is burned: not those that were being published when Kafka froze."""
    broker = own_broker()
    process = IngestProcess(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap})
    await process.start()
    contents = {f"key-{number}": hospitals(20, number) for number in range(CROWD)}

    def crowd():
        return asyncio.gather(*(raw_upload(process.port, key, content) for key, content in contents.items()))

    well = crowd()
    await asyncio.sleep(0.3)
    broker.pause()
    answers = [*await well, *await crowd()]
    broker.resume()
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        made = [await accepted(client, content, key) for key, content in contents.items()]
    process.terminate()

    assert {answer.status for answer in answers} <= {202, 409, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status != 202)
    published = await jobs(settings(tmp_path, kafka_bootstrap_servers=broker.bootstrap))
    assert len(set(made)) == CROWD
    assert set(published) == set(made)
    assert {job.total_hospitals for job, _ in published.values()} == {20}
    slowest, statuses = max(answer.seconds for answer in answers), Counter(answer.status for answer in answers)
    kept(f"crowd: 2 x {CROWD} uploads as Kafka froze: {dict(statuses)}, slowest {slowest:.1f} s; then one job a key")
