"""The ingest service is killed in the middle of uploads; clients ask again with their keys."""

import asyncio
import contextlib
import random
from pathlib import Path

import httpx

from tests.chaos.size import sized
from tests.ingest.ingest_process import IngestProcess
from tests.ingest.ingest_server import settings, upload
from tests.ingest.published import jobs

ROUNDS = sized(5, 50)
MOST_ROWS = sized(5_000, 50_000)


def hospitals(rows: int, round_: int) -> bytes:
    """A file of so many rows."""
    lines = (b"Hospital %d of round %d,%d Main Street\n" % (number, round_, number) for number in range(rows))
    return b"name,address\n" + b"".join(lines)


async def test_kill_9_at_random_moments_leaves_one_whole_job_per_key(
    tmp_path: Path, kafka_bootstrap: str, topic_prefix: str, chance: random.Random, kept
):
    """Whatever the upload was doing: receiving, checking, publishing, committing, answering."""
    where = {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}
    process = IngestProcess(tmp_path, {name.upper(): value for name, value in where.items()})
    sizes: dict[str, int] = {}
    answered: dict[str, str] = {}
    await process.start()
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        for round_ in range(ROUNDS):
            key, rows = f"round-{round_}", int(MOST_ROWS ** chance.random())
            content = hospitals(rows, round_)
            trying = asyncio.create_task(accepted(client, content, key))
            # Small ones are done in a tenth of a second, large ones take several.
            await asyncio.wait({trying}, timeout=chance.uniform(0, 0.15 + rows / 10_000))
            process.kill()
            await process.start()
            sizes[key], answered[key] = rows, await trying
        process.terminate()

    published = await jobs(settings(tmp_path, **where))
    assert set(published) == set(answered.values())
    for key, job_id in answered.items():
        job, found = published[job_id]
        assert job.total_hospitals == sizes[key]
        assert sorted(row.row for row in found) == list(range(2, sizes[key] + 2))
    kept(f"uploads: {ROUNDS} kills, {sum(sizes.values()):,} rows; one whole job for each of {len(answered)} keys")


async def accepted(client: httpx.AsyncClient, content: bytes, key: str) -> str:
    """What a patient client does: the same request again until it is accepted. The job's id."""
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await upload(client, content, key)
                if answer.status_code == 202:
                    job_id: str = answer.json()["job_id"]
                    return job_id
                assert answer.status_code in (409, 503), answer.text
                assert answer.headers["retry-after"]
            await asyncio.sleep(0.2)
