"""`python -m tests.bench.retries`: a retry of a whole job by a real status process, and the hash over all of its rows.

A job of 100,000 failed rows (BENCH_FULL=1: a million) stands in PostgreSQL; the retry is requested over HTTP. Measured:
from the request to the last committed row, memory, what callers wait meanwhile; and the manifest for JobFinished.
Figures of one machine: read them as ratios.
"""

import asyncio
import os
import re
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psutil

from deploy.local.broker.kafka import Broker
from deploy.local.ports import free_port
from deploy.local.postgres import ThrowawayPostgres
from services.status.lifecycle.manifest import read_manifest
from services.status.tables.schema_version import migrate
from shared.contract.events import JobOutcome
from shared.runtime.databases import create_engine, database_url
from shared.runtime.settings import KafkaSettings
from tests.bench.projection import percentiles
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_service import API, StatusService, eventually

ROWS = 1_000_000 if os.environ.get("BENCH_FULL") == "1" else 100_000
_CELLS = '["Hospital","1 Long Street","12"]'
FAILED_ROWS = f"""
INSERT INTO status_rows (job_id, row, round, batch_id, name, status, attempts, error_code, error, started_at,
                         finished_at, columns)
SELECT 'job-1', row, 1, 'batch-' || row / 1000, 'Hospital', 'failed', 3, 'rejected', 'Refused', 0, 0, '{_CELLS}'
FROM generate_series(2, {ROWS + 1}) AS row
"""


async def main() -> None:
    """Prints each figure as it comes."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory,
        Broker(Path(directory) / "kafka") as broker,
        ThrowawayPostgres() as postgres,
    ):
        await fill(postgres.url)
        settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap, kafka_topic_prefix=f"b{uuid4().hex[:6]}.")
        async with StatusService(settings, postgres.url, free_port(), Path(directory) / "status.log") as service:
            await service.ready()
            await retry(service)


async def fill(url: str) -> None:
    """The job, as it is when every row of it has failed."""
    engine = create_engine(database_url(url))
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(FAILED_ROWS)
        await connection.exec_driver_sql(f"INSERT INTO status_tallies VALUES ('job-1', 1, 'failed', {ROWS})")
    job = JobHistory(total=ROWS, batches=ROWS // 1000 + 1)
    bulk = job.accepted().model_copy(update={"express": False})
    await apply_events(engine, bulk, job.finished(JobOutcome.NONE_CREATED))
    began = time.monotonic()
    manifest = await read_manifest(engine, "job-1")
    seconds = time.monotonic() - began
    print(f"manifest of {manifest.total:,} rows: {seconds:.1f} s, {ROWS / seconds:,.0f} rows/s", flush=True)
    await engine.dispose()


async def retry(service: StatusService) -> None:
    """Requests it, and asks for the status until the last row is written."""
    process = psutil.Process(service.pid)
    before, most, waits = process.memory_info().rss, 0, []
    began = time.monotonic()
    answer = await service.http.post(f"{API}/jobs/job-1/retry")
    assert answer.status_code == 202, answer.text

    async def is_written() -> bool:
        nonlocal most
        asked = time.monotonic()
        await service.status("job-1")
        waits.append(time.monotonic() - asked)
        most = max(most, process.memory_info().rss)
        metrics = (await service.http.get("/metrics")).text
        return float(re.search(r"^hospital_status_rows_retried_total (\S+)$", metrics, re.MULTILINE)[1]) >= ROWS

    await eventually(is_written, seconds=600)
    seconds = time.monotonic() - began
    print(f"retry of {ROWS:,} rows: {seconds:.1f} s, {ROWS / seconds:,.0f} rows/s", flush=True)
    print(f"    memory {before / 2**20:.0f} MB before, {most / 2**20:.0f} MB at most")
    print(f"    {len(waits)} status queries meanwhile: {percentiles(waits)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
