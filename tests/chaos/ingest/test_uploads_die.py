"""The ingest service is killed in the middle of uploads; clients ask again with their keys."""

import asyncio
import random
from pathlib import Path

import httpx

from tests.chaos.size import only_in_full
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import settings
from tests.support.ingest.published_jobs import assert_one_whole_job_each
from tests.support.ingest.repeating_client import hospitals, succeeds

ROUNDS = 50
MOST_ROWS = 50_000


@only_in_full  # in make test: tests/kafka/ingest/test_outages.py
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

    await assert_one_whole_job_each(settings(tmp_path, **where), answered, sizes)
    kept(f"uploads: {ROUNDS} kills, {sum(sizes.values()):,} rows; one whole job for each of {len(answered)} keys")


async def accepted(client: httpx.AsyncClient, content: bytes, key: str) -> str:
    """The job's id, however often it takes."""
    job_id: str = (await succeeds(client, content, key, seconds=120)).json()["job_id"]
    return job_id
