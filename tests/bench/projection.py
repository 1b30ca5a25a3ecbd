"""`python -m tests.bench.projection`: results a second into PostgreSQL and SQLite, and what callers wait meanwhile.

Results on a real broker, projected by a real status process into fresh tables, from the first commit to the last, with
status queries over HTTP meanwhile. Beside it the same rows in a bare bulk insert (COPY, executemany) into the same
table, which decodes nothing and keeps no counts. PostgreSQL never waits for the disk here, in neither of the two. With
BENCH_FULL=1 more rows. Figures of one machine: read them as ratios.
"""

import asyncio
import json
import os
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil

from deploy.local.broker.kafka import Broker
from deploy.local.ports import free_port
from deploy.local.postgres import ThrowawayPostgres
from deploy.local.supervisor.parent_death import die_with_parent
from services.status.model.row_results import RowRecord, record_of
from services.status.tables.schema_version import migrate
from shared.runtime.databases import create_engine, database_url
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory
from tests.support.status.status_service import API, StatusService, eventually

FULL = os.environ.get("BENCH_FULL") == "1"
JOBS = 8
ROWS = (400_000 if FULL else 100_000) // JOBS
CHUNK = 5_000
AIMS = {"PostgreSQL": 20_000, "SQLite": 10_000}


@dataclass(frozen=True)
class Figure:
    """Results a second, CPU seconds of the service a result, and how long each query took, in seconds, in order."""

    rate: float
    cpu: float
    waits: list[float]


async def main() -> None:
    """Measures one database after the other, and prints each figure as it comes."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory,
        Broker(Path(directory) / "kafka") as broker,
        ThrowawayPostgres() as postgres,
    ):
        settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap, kafka_topic_prefix=f"b{uuid4().hex[:6]}.")
        jobs = [JobHistory(total=ROWS, batches=ROWS // 1000 + 1, job_id=str(uuid4())) for _ in range(JOBS)]
        records = await write(settings, jobs, Path(directory))
        for name, url in (("PostgreSQL", postgres.url), ("SQLite", f"sqlite:///{directory}/status.db")):
            bare = await bare_insert(url, records, Path(directory))
            print(f"{name}: bare bulk insert {bare:>10,.0f} rows/s", flush=True)
            figure = await projected(settings, url, jobs, Path(directory))
            share = f"{figure.rate / bare:.2f} of the bare insert"
            print(f"    projection {figure.rate:>16,.0f} results/s (aim: {AIMS[name]:,}), {share}")
            print(f"    {figure.cpu * 1e6:.0f} µs CPU a result in the service: {1 / figure.cpu:,.0f} a second and core")
            first, *others = figure.waits
            queries = f"{len(others)} status queries meanwhile (the first, without a connection: {first * 1000:.0f} ms)"
            print(
                f"    {queries}: {percentiles(others)} (aim: p99 < 50 ms); load {os.getloadavg()[0]:.0f}",
                flush=True,
            )


async def write(settings: KafkaSettings, jobs: list[JobHistory], folder: Path) -> list[RowRecord]:
    """Every result of every job on the topics, the jobs mixed; returns them as rows of the table."""
    records = []
    async with topics(settings, f"sqlite:///{folder}/unused.db", folder) as service:
        await service.write(*(job.accepted() for job in jobs))
        for first in range(2, ROWS + 2, 200):
            rows = range(first, min(first + 200, ROWS + 2))
            events = [job.failed(row) if row % 50 == 0 else job.created(row) for row in rows for job in jobs]
            await service.write(*events)
            records += [record_of(event) for event in events]
    return records


@asynccontextmanager
async def topics(settings: KafkaSettings, url: str, folder: Path) -> AsyncIterator[StatusService]:
    """A service that has not been started, for its topics and its producer."""
    async with StatusService(settings, url, free_port(), folder / "status.log") as service:
        await service.kill()
        yield service


async def bare_insert(url: str, records: list[RowRecord], folder: Path) -> float:
    """Rows a second, without anything else."""
    if url.startswith("sqlite"):
        scratch = f"sqlite:///{folder}/bare.db"
        await made(scratch)
        return len(records) / await asyncio.to_thread(_into_sqlite, f"{folder}/bare.db", records)
    await made(url)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE bare_rows (LIKE status_rows INCLUDING ALL)")
    began = time.perf_counter()
    for first in range(0, len(records), CHUNK):
        await connection.copy_records_to_table("bare_rows", records=records[first : first + CHUNK])
    seconds = time.perf_counter() - began
    await connection.execute("DROP TABLE bare_rows")
    await connection.close()
    return len(records) / seconds


def _into_sqlite(path: str, records: list[RowRecord]) -> float:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    statement = f"INSERT INTO status_rows VALUES ({', '.join('?' * len(records[0]))})"
    began = time.perf_counter()
    for first in range(0, len(records), CHUNK):
        with connection:
            connection.executemany(statement, records[first : first + CHUNK])
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


async def made(url: str) -> None:
    """Makes the tables."""
    engine = create_engine(database_url(url))
    await migrate(engine)
    await engine.dispose()


async def projected(settings: KafkaSettings, url: str, jobs: list[JobHistory], folder: Path) -> Figure:
    """One status process, from its first commit to its last."""
    waits: list[float] = []
    async with topics(settings, url, folder) as service:
        await service.start()
        process = psutil.Process(service.pid)
        async with asked(service, jobs, waits):
            first, begun = await progress(service, lambda done: done > 0)
            cpu = sum(process.cpu_times()[:2])
            last, ended = await progress(service, lambda done: done >= JOBS * ROWS)
            cpu = sum(process.cpu_times()[:2]) - cpu
        assert (await service.status(jobs[0].about["job_id"]))["processed_hospitals"] == ROWS
    return Figure((last - first) / (ended - begun), cpu / (last - first), waits)


async def progress(service: StatusService, enough: Callable[[int], bool]) -> tuple[int, float]:
    """The results that have been projected when there were enough, and the time."""
    found = [0]

    async def is_enough() -> bool:
        text = (await service.http.get("/metrics")).text
        counted = re.search(r"^hospital_status_results_projected_total (\S+)", text, re.MULTILINE)
        found[0] = int(float(counted.group(1))) if counted else 0
        return enough(found[0])

    await eventually(is_enough, 300)
    return found[0], time.perf_counter()


@asynccontextmanager
async def asked(service: StatusService, jobs: list[JobHistory], waits: list[float]) -> AsyncIterator[None]:
    """Meanwhile another process asks for the jobs' states."""
    base = str(service.http.base_url).rstrip("/")
    urls = [f"{base}{API}/status/{job.about['job_id']}" for job in jobs]
    asker = await asyncio.create_subprocess_exec(
        *die_with_parent([sys.executable, "-m", "tests.bench.asker", *urls]), stdin=PIPE, stdout=PIPE
    )
    await progress(service, lambda done: done > 0)
    asker.stdin.write(b"begin\n")
    try:
        yield
    finally:
        waits_json, _ = await asker.communicate(b"end\n")
    waits += json.loads(waits_json)


def percentiles(waits: list[float]) -> str:
    """For a line of the report."""
    cuts = statistics.quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"


if __name__ == "__main__":
    started = time.monotonic()
    asyncio.run(main())
    print(f"measured in {time.monotonic() - started:.0f} s")
