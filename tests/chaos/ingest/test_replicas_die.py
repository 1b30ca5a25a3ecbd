"""Two replicas of the ingest service share PostgreSQL; one or the other is killed in the middle of the same upload."""

import asyncio
import random
from pathlib import Path

import httpx

from services.ingest.keys.schema_version import migrate
from shared.runtime.databases import create_engine, database_url
from tests.chaos.ingest.test_uploads_die import accepted
from tests.chaos.size import sized
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import settings
from tests.support.ingest.published_jobs import assert_one_whole_job_each
from tests.support.ingest.repeating_client import hospitals

ROUNDS = sized(4, 40)
MOST_ROWS = sized(2_000, 50_000)


async def test_one_key_at_two_replicas_of_which_one_is_killed_is_one_whole_job(
    tmp_path: Path, kafka_bootstrap: str, topic_prefix: str, postgres_url: str, chance: random.Random, kept
):
    """The other one says that it is in progress, settles what was left behind, or was faster."""
    engine = create_engine(database_url(postgres_url))
    await migrate(engine)
    await engine.dispose()
    where = {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}
    environment = {name.upper(): value for name, value in where.items()} | {"INGEST_DATABASE_URL": postgres_url}
    replicas = [IngestProcess(directory, environment) for directory in (tmp_path / "one", tmp_path / "other")]
    for place, replica in zip(("one", "other"), replicas, strict=True):
        (tmp_path / place).mkdir()
        await replica.start()
    sizes: dict[str, int] = {}
    answered: dict[str, str] = {}
    async with (
        httpx.AsyncClient(base_url=replicas[0].url, timeout=60) as one,
        httpx.AsyncClient(base_url=replicas[1].url, timeout=60) as other,
    ):
        for round_ in range(ROUNDS):
            key, rows = f"round-{round_}", int(MOST_ROWS ** chance.random())
            content, killed = hospitals(rows, round_), replicas[round_ % 2]
            trying = [asyncio.create_task(accepted(client, content, key)) for client in (one, other)]
            await asyncio.wait(trying, timeout=chance.uniform(0, 0.15 + rows / 10_000))
            killed.kill()
            await killed.start()
            first, second = await asyncio.gather(*trying)
            assert first == second
            sizes[key], answered[key] = rows, first
    for replica in replicas:
        replica.terminate()

    await assert_one_whole_job_each(settings(tmp_path, **where), answered, sizes)
    kept(f"replicas: {ROUNDS} kills, the same key at both; one whole job for each of {len(answered)} keys")
