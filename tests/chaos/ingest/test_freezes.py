"""Kafka freezes 30 times: what ingest had under way is given up, and nothing of it stays open."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.broker.kafka import Broker
from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full
from tests.support.ingest.frozen_uploads import assert_nothing_is_left
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.ingest_server import settings
from tests.support.ingest.published_jobs import assert_one_whole_job_each
from tests.support.ingest.repeating_client import hospitals, succeeds
from tests.support.open_ends import tracebacks
from tests.support.until import until

FREEZES = 30
LONGEST_SECONDS = 13.0
MOST_ROWS = 20_000


@only_in_full
@pytest.mark.timeout(1200)
async def test_thirty_freezes_leave_nothing_of_uploads(own_broker: Callable[[], Broker], kept: Kept) -> None:
    """Neither tasks nor sockets of uploads in every state, and nobody complains."""
    await assert_nothing_is_left(own_broker(), FREEZES)
    kept(f"{FREEZES} freezes of uploads: no task and no socket left, no complaint")


@only_in_full
@pytest.mark.timeout(1800)
async def test_thirty_freezes_end_no_process_and_leave_nothing(
    own_broker: Callable[[], Broker], tmp_path: Path, chance: random.Random, kept: Kept
) -> None:
    """Of any length, in the middle of uploads of any size: each is one whole job in the end."""
    broker = own_broker()
    process = IngestProcess(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap})
    sizes: dict[str, int] = {}
    answered: dict[str, str] = {}
    await process.start()
    running = psutil.Process(process.pid)
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        sizes["before"], answered["before"] = 10, (await succeeds(client, hospitals(10, -1), "before")).json()["job_id"]
        before = len(running.net_connections())
        for round_ in range(FREEZES):
            key, rows = f"round-{round_}", int(MOST_ROWS ** chance.random())
            trying = asyncio.create_task(succeeds(client, hospitals(rows, round_), key, seconds=120))
            await asyncio.wait({trying}, timeout=chance.uniform(0, 0.15 + rows / 10_000))
            broker.pause()
            await asyncio.sleep(chance.uniform(0.1, LONGEST_SECONDS))
            broker.resume()
            sizes[key], answered[key] = rows, (await trying).json()["job_id"]
        # Idle connections to Kafka are kept for a minute.
        await until("all sockets are closed", lambda: len(running.net_connections()) <= before, 90)
    assert running.is_running()
    assert process.terminate() == 0
    assert tracebacks(process.log) == []
    await assert_one_whole_job_each(settings(tmp_path, kafka_bootstrap_servers=broker.bootstrap), answered, sizes)
    kept(f"{FREEZES} freezes in {sum(sizes.values()):,} rows: one whole job each, {before} sockets as before")
