"""Where files are read, and the settings of it all."""

import asyncio
import os
import time

import pytest
from pydantic import ValidationError

from services.ingest.file_workers import LARGE_FILE_BYTES, FileWorkers, WorkerLost
from services.ingest.settings import IngestSettings


@pytest.fixture
def workers():
    """Workers that end with the test."""
    workers = FileWorkers()
    yield workers
    workers.close()


async def test_small_files_are_read_here_and_large_ones_elsewhere(workers):
    """The large ones would be felt by others."""
    assert await workers.run(LARGE_FILE_BYTES, os.getpid) == os.getpid()
    assert await workers.run(LARGE_FILE_BYTES + 1, os.getpid) != os.getpid()


async def test_large_files_take_second_place_where_processors_are_busy(workers):
    """Small uploads and Kafka share them."""
    assert await workers.run(LARGE_FILE_BYTES + 1, os.nice, 0) > os.nice(0)


async def test_a_worker_that_dies_is_replaced(workers):
    """Its upload is told to come again, the next one is read."""
    with pytest.raises(WorkerLost):
        await workers.run(LARGE_FILE_BYTES + 1, os._exit, 1)

    assert await workers.run(LARGE_FILE_BYTES + 1, abs, -1) == 1


async def test_two_uploads_that_lose_their_workers_leave_the_next_ones_alone(workers):
    """The second hears of it when others are at work in new processes."""
    lost = await asyncio.gather(
        *(workers.run(LARGE_FILE_BYTES + 1, os._exit, 1) for _ in range(2)), return_exceptions=True
    )

    assert {type(error) for error in lost} == {WorkerLost}
    assert await asyncio.gather(*(workers.run(LARGE_FILE_BYTES + 1, abs, -1) for _ in range(2))) == [1, 1]


async def test_the_end_does_not_wait_for_a_file_that_nobody_waits_for():
    """Its upload was cut off, and half a minute of reading would outlast the patience of whoever ends the service."""
    workers = FileWorkers()
    await workers.run(LARGE_FILE_BYTES + 1, abs, -1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await workers.run(LARGE_FILE_BYTES + 1, time.sleep, 3)

    began = time.monotonic()
    workers.close()

    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "values",
    [
        {"ingest_database_url": "mysql://x"},
        {"max_csv_rows": 0},
        {"batch_rows": 1001},
        {"batch_rows": 39},
        {"max_csv_rows": 25_000_001},
        {"rate_limit_period": 0},
        {"idempotency_ttl_seconds": 0},
    ],
)
def test_a_wrong_setting_is_refused(values):
    """At the start, not at the first upload."""
    with pytest.raises(ValidationError):
        IngestSettings(**values)


@pytest.mark.parametrize(("requests", "period", "seconds"), [(10, 1.0, 2.5), (30, 60.0, 50.0), (0, 1.0, None)])
def test_the_estimate_follows_from_the_pace(requests, period, seconds):
    """No limit, no estimate."""
    assert IngestSettings(rate_limit_requests=requests, rate_limit_period=period).estimated_seconds(25) == seconds
