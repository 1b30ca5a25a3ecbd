"""`python -m tests.bench.status`: what a job of a million rows costs those who ask about it, on SQLite and PostgreSQL.

The rows are written straight into the tables; a real status process answers over HTTP. Status and pages of rows: first,
deep and filtered; then the whole result file, with the process's memory and what others wait for their status
meanwhile. BENCH_ROWS sets another size. Figures of one machine: read them as ratios.
"""

import asyncio
import contextlib
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import psutil
from sqlalchemy import insert

from deploy.local.ports import free_port
from deploy.local.postgres import ThrowawayPostgres
from services.status.model.row_results import RowRecord, RowStatus, record_of
from services.status.queries.cursors import cursor
from services.status.tables.definitions import tallies
from services.status.tables.schema_version import migrate
from shared.contract.events import JobOutcome
from shared.runtime.databases import create_engine, database_url
from tests.bench.projection import percentiles
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_service import API, eventually

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
FAILED_EVERY = 50
TIMES = 150
JOB = JobHistory(total=ROWS, batches=ROWS // 1_000, job_id="a-huge-job")


async def main() -> None:
    """Measures one database after the other, and prints each figure as it comes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, ThrowawayPostgres() as postgres:
        for name, url in (("SQLite", f"sqlite:///{directory}/status.db"), ("PostgreSQL", postgres.url)):
            began = time.perf_counter()
            await fill(url)
            print(f"{name}: {ROWS:,} rows written in {time.perf_counter() - began:.0f} s", flush=True)
            async with running(url, Path(directory)) as (http, process):
                await pages(http)
                await files(http, process)


async def fill(url: str) -> None:
    """The job, finished: one row in fifty failed."""
    engine = create_engine(database_url(url))
    await migrate(engine)
    await apply_events(engine, JOB.accepted())
    if url.startswith("sqlite"):
        await asyncio.to_thread(_into_sqlite, url.removeprefix("sqlite:///"))
    else:
        await _into_postgresql(url)
    failed = ROWS // FAILED_EVERY
    counts = {RowStatus.CREATED: ROWS - failed, RowStatus.FAILED: failed}
    async with engine.begin() as connection:
        for status, hospitals in counts.items():
            tally = {"job_id": JOB.about["job_id"], "round": 1, "status": status.value, "hospitals": hospitals}
            await connection.execute(insert(tallies).values(tally))
    await apply_events(engine, JOB.finished(JobOutcome.SOME_FAILED))
    await engine.dispose()


def records() -> Iterator[RowRecord]:
    """The rows, in order."""
    created, failed = record_of(JOB.created(2)), record_of(JOB.failed(2))
    for row in range(2, ROWS + 2):
        like = failed if row % FAILED_EVERY == 0 else created
        yield like._replace(
            row=row,
            batch_id=JOB.batch_ids[row % len(JOB.batch_ids)],
            name=f"Hospital {row}",
            hospital_id=None if like is failed else str(row),
            columns=f'["Hospital {row}","{row} Long Street, 12345 Sometown","12"]',
        )


def _into_sqlite(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        statement = f"INSERT INTO status_rows VALUES ({', '.join('?' * len(RowRecord._fields))})"
        with connection:
            connection.executemany(statement, records())


async def _into_postgresql(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table("status_rows", records=records(), columns=RowRecord._fields)
    await connection.execute("ANALYZE status_rows")
    await connection.close()


@asynccontextmanager
async def running(url: str, folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, psutil.Process]]:
    """A status service over these tables. It has no Kafka, and needs none to answer about a job that it knows."""
    port = free_port()
    environment = os.environ | {
        "STATUS_DATABASE_URL": url,
        "HTTP_PORT": str(port),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "JOB_RETENTION_DAYS": "3650",
    }
    with (folder / "status.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.status", env=environment, stderr=log, stdout=log
        )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{API}", timeout=60) as http:

        async def answers() -> bool:
            return (await http.get(f"/status/{JOB.about['job_id']}")).status_code == 200

        try:
            await eventually(answers)
            yield http, psutil.Process(process.pid)
        finally:
            process.kill()
            await process.wait()


async def pages(http: httpx.AsyncClient) -> None:
    """Prints what each kind of question takes."""
    job_id = JOB.about["job_id"]
    rows, deep = f"/jobs/{job_id}/rows?limit=100", f"cursor={cursor(ROWS * 9 // 10)}"
    for name, path in {
        "status": f"/status/{job_id}",
        "list of jobs": "/jobs",
        "rows, first page": rows,
        "rows, deep": f"{rows}&{deep}",
        "failed rows, first page": f"{rows}&outcome=failed",
        "failed rows, deep": f"{rows}&outcome=failed&{deep}",
        "created rows, deep": f"{rows}&outcome=created&{deep}",
        "unprocessed rows (none)": f"{rows}&outcome=unprocessed",
        "the largest page, deep": f"/jobs/{job_id}/rows?limit=1000&{deep}",
    }.items():
        waits = [await waited(http, path) for _ in range(TIMES)]
        print(f"    {name:<28}{percentiles(waits)}", flush=True)


async def waited(http: httpx.AsyncClient, path: str) -> float:
    """How long an answer took, in seconds."""
    began = time.perf_counter()
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - began


async def files(http: httpx.AsyncClient, process: psutil.Process) -> None:
    """Prints how fast the file of all created rows comes, and what it costs."""
    job_id = JOB.about["job_id"]
    before, waits = process.memory_info().rss, []
    asking = asyncio.create_task(keep_asking(http, waits))
    began, size, lines, peak = time.perf_counter(), 0, 0, before
    async with http.stream("GET", f"/jobs/{job_id}/successful.csv") as answer:
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
            lines += chunk.count(b"\n")
            peak = max(peak, process.memory_info().rss)
    seconds = time.perf_counter() - began
    asking.cancel()
    assert lines == ROWS - ROWS // FAILED_EVERY + 1, lines
    print(
        f"    successful.csv: {size / 1e6:.0f} MB, {size / 1e6 / seconds:.1f} MB/s, {lines / seconds:,.0f} rows/s; "
        f"memory {before / 1e6:.0f} MB before, {peak / 1e6:.0f} MB at most"
    )
    print(f"    status meanwhile            {percentiles(waits)}", flush=True)


async def keep_asking(http: httpx.AsyncClient, waits: list[float]) -> None:
    """Status queries, one after the other."""
    while True:
        waits.append(await waited(http, f"/status/{JOB.about['job_id']}"))
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    started = time.monotonic()
    asyncio.run(main())
    print(f"measured in {time.monotonic() - started:.0f} s")
