"""Kafka is out of reach, or the service dies: 503 in time, no half-made job, one job per key.

A Kafka that stops, freezes or dies is in test_ingest_answers_in_time.py.
"""

import asyncio
import contextlib
import time

import httpx

from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import jobs, records
from tests.support.ingest.repeating_client import hospitals, succeeds
from tests.support.swallowing_proxy import SwallowingProxy

KAFKA_DOWN = "Service temporarily unavailable. The message queue is currently down. Please try again later."
PARTITIONS = 3


async def test_an_unreachable_kafka_is_503_within_two_seconds_and_then_the_same_key_succeeds(
    tmp_path, kafka_bootstrap, topic_prefix
):
    """Packets are swallowed, so that nothing is refused and nothing is answered: on new and on open connections."""
    about = {"kafka_topic_prefix": topic_prefix, "kafka_topic_partitions": PARTITIONS}
    async with SwallowingProxy(int(kafka_bootstrap.rpartition(":")[2])) as network:
        async with ingest(tmp_path, kafka_bootstrap_servers=network.bootstrap, **about) as client:
            await ready(client)
            await succeeds(client, CSV, "before")

            network.swallow()
            for key in ("during", "during", "during-2"):
                began = time.monotonic()
                answer = await upload(client, CSV, key)
                assert time.monotonic() - began < 2
                assert (answer.status_code, answer.json()["detail"]) == (503, KAFKA_DOWN)
            network.let_through()

            made = {(await succeeds(client, CSV, key)).json()["job_id"] for key in ("during", "during-2")}
        published = await jobs(settings(tmp_path, kafka_bootstrap_servers=kafka_bootstrap, **about))

    assert len(published) == 3
    assert made < set(published)


async def test_a_service_that_starts_without_kafka_serves_when_it_comes(tmp_path, own_broker):
    """It answers 503 meanwhile, and makes the topics itself."""
    broker = own_broker()
    broker.stop()
    async with ingest(tmp_path, kafka_bootstrap_servers=broker.bootstrap) as client:
        assert (await upload(client, CSV)).status_code == 503
        assert (await client.get("/health")).status_code == 200

        broker.start()

        await succeeds(client, CSV, "k")
        await ready(client)


async def test_kill_9_at_any_moment_leaves_one_whole_job_per_key(tmp_path, kafka_bootstrap, topic_prefix):
    """The client asks again with its key; a reader of committed records never sees a part."""
    where = {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}
    reading = settings(tmp_path, **where, kafka_topic_partitions=PARTITIONS)
    process = IngestProcess(
        tmp_path, {**{name.upper(): value for name, value in where.items()}, "KAFKA_TOPIC_PARTITIONS": str(PARTITIONS)}
    )
    rows = 6_000
    content = hospitals(rows)
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        for number in range(3):
            await process.start()
            upload_ = asyncio.create_task(upload(client, content, f"k{number}"))
            await _until_something_is_written(reading, upload_, 0.15 * number)
            process.kill()
            with contextlib.suppress(httpx.TransportError):
                await upload_
            await process.start()
            await succeeds(client, content, f"k{number}")
            process.kill()

    published = await jobs(reading)
    assert len(published) == 3
    assert {job.total_hospitals for job, _ in published.values()} == {rows}
    for _, found in published.values():
        assert sorted(row.row for row in found) == list(range(2, rows + 2))


async def _until_something_is_written(reading, upload_: asyncio.Task, seconds: float) -> None:
    """Waits for the first record that is not committed, and a little longer."""
    before = len(await records(reading, reading.topics.rows, committed=False))
    written = before
    while written == before and not upload_.done():
        written = len(await records(reading, reading.topics.rows, committed=False))
    await asyncio.wait({upload_}, timeout=seconds)


async def test_it_stops_when_asked_and_leaves_nothing_behind(tmp_path, kafka_bootstrap, topic_prefix):
    """Neither files nor processes, and no complaint in its log."""
    process = IngestProcess(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix})
    await process.start()
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        assert (await upload(client, hospitals(20_000))).status_code == 202

    process.terminate()

    assert list(tmp_path.glob("*hospital-ingest-*")) == []
    assert "Traceback" not in process.log.read_text()
    assert "leaked" not in process.log.read_text()


async def test_what_a_killed_service_left_on_disk_is_removed_by_the_next(tmp_path, kafka_bootstrap, topic_prefix):
    """Half an upload may be 150 MB."""
    process = IngestProcess(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix})
    await process.start()
    (left,) = tmp_path.glob("hospital-ingest-*")
    process.kill()

    await process.start()

    (place,) = tmp_path.glob("hospital-ingest-*")
    assert place != left
    process.kill()
