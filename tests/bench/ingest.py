"""`python -m tests.bench.ingest`: what uploads cost, beside a bare producer that sends the same records.

1. A large upload, validation included, in rows a second; the memory of all its processes; the bare producer.
2. Two such uploads at once, and how long small ones take meanwhile.
3. 200 small uploads at once.
4. From the upload of a large file to its first row at the directory.
5. The check of a large file beside as many created rows, and without: other rows, and the same.

BENCH_FULL=1 takes 1,000,000 rows, else 200,000.
"""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psutil

from deploy.local.broker.kafka import Broker
from services.ingest.created_rows.chunks import HashedRow, tenant_key
from services.ingest.created_rows.known_rows import KnownRows
from services.ingest.created_rows.store import CreatedRowsStore
from services.ingest.csv_file.header import Header, find_header
from services.ingest.csv_file.rows import RowReader
from services.ingest.csv_file.validation import FileAccepted, Rules, validate_file
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.prepared_job import PreparedJob, prepare
from services.ingest.keys.schema_version import migrate
from services.ingest.row_matching.created_before import CreatedRows
from services.ingest.row_matching.duplicates import RowHash
from shared.contract.events import now
from shared.runtime.databases import Database, create_engine, database_url
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.ingest.raw_upload import raw_upload
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

FULL = os.environ.get("BENCH_FULL") == "1"
ROWS = 1_000_000 if FULL else 200_000
SMALL = 200
PARTITIONS = 6
TOPIC = "hospital.rows.bulk"


async def main() -> None:
    """Measures one after the other, and prints each figure as it comes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, Broker(Path(place) / "kafka") as broker:
        directory = Path(place)
        process = IngestProcess(directory, {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap})
        await process.start()
        await raw_upload(process.port, "warm-up", csv_of(20))
        large = csv_of(ROWS)
        print(f"{ROWS:,} rows, {len(large) / 1e6:.0f} MB", flush=True)
        seconds = await alone(process, large)
        bare = await bare_producer(broker.bootstrap, directory, large)
        print(f"{'bare aiokafka producer, same records':<44}{ROWS / bare:>8,.0f} rows/s")
        print(f"    {bare / seconds:.0%} of the bare producer (aim: 60 %)", flush=True)
        await together(process, large)
        await crowd(process)
        process.terminate()
        await first_row(broker.bootstrap, directory, large)
        await created_before(directory, large)


def csv_of(rows: int, name: str = "Hospital") -> bytes:
    """A file of so many rows of about 140 bytes."""
    lines = (
        f"{name} {number} of the Northern Region,{number} Long Main Street in a Town,+1 555 {number:07d},"
        f"Cardiology and surgery {number % 50},open day and night {number % 7}\n"
        for number in range(rows)
    )
    return b"name,address,phone,ward,note\n" + "".join(lines).encode()


async def alone(process: IngestProcess, large: bytes) -> float:
    """The seconds that one large upload takes; prints its rate and the memory of all processes."""
    async with watched(process) as peak:
        began = time.monotonic()
        await accepted(process, "alone", large)
        seconds = time.monotonic() - began
    print(f"{'upload, validation included':<44}{ROWS / seconds:>8,.0f} rows/s")
    print(f"    peak memory of all ingest processes {max(peak) / 1e6:.0f} MB (aim: below 250)", flush=True)
    return seconds


async def bare_producer(bootstrap: str, directory: Path, large: bytes) -> float:
    """The seconds that the same keys, headers and values take without an upload around them."""
    path = directory / "bare.csv"
    path.write_bytes(large)
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    draft = JobDraft("default", str(uuid4()), "a.csv", "0" * 64, now(), trace, 1000, 1000, PARTITIONS)
    job = prepare(path, Rules(ROWS), draft)
    assert isinstance(job, PreparedJob)
    headers = directory / "headers"
    headers.write_bytes(pickle.dumps(job.headers))
    command = [sys.executable, "-m", "tests.bench.bare_producer", bootstrap, TOPIC, str(job.records), str(headers)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    seconds: float = json.loads(out)["seconds"]
    return seconds


async def together(process: IngestProcess, large: bytes) -> None:
    """Two large uploads at once; a small one again and again until both are done."""
    took: list[float] = []
    async with watched(process) as peak:
        # Each on an event loop of its own: to send them takes us long enough to be seen in the small ones' time.
        sending = (accepted(process, f"both-{number}", large) for number in range(2))
        both = asyncio.gather(*(asyncio.to_thread(asyncio.run, each) for each in sending))
        while not both.done():
            answer = await raw_upload(process.port, f"small-{len(took)}", csv_of(20, f"Small {len(took)}"))
            assert answer.status == 202, answer.body
            took.append(answer.seconds)
            await asyncio.sleep(0.1)
        await both
    print(
        f"two at once: {len(took)} uploads of 20 rows meanwhile, p50 {quantile(took, 0.5):.2f} s, max {max(took):.2f} s"
    )
    print(f"    (aim: within 1 s), peak memory {max(peak) / 1e6:.0f} MB", flush=True)


async def crowd(process: IngestProcess) -> None:
    """Many small uploads in the same moment."""
    contents = [csv_of(20, f"Crowd {number}") for number in range(SMALL)]
    answers = await asyncio.gather(
        *(raw_upload(process.port, f"crowd-{number}", content) for number, content in enumerate(contents))
    )
    statuses = Counter(answer.status for answer in answers)
    took = [answer.seconds for answer in answers]
    words = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    print(f"{SMALL} uploads of 20 rows at once: {words}; p99 {quantile(took, 0.99):.2f} s (aim: below 2)")


async def first_row(bootstrap: str, directory: Path, large: bytes) -> None:
    """An idle processor gets a large job: prints when the directory saw its first row."""
    where = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "KAFKA_TOPIC_PREFIX": "first."}
    async with ProcessorSystem(bootstrap, "first.", directory, RATE_LIMIT_REQUESTS="10") as system:
        process = IngestProcess(directory, where)
        await process.start()
        await system.start_processors(1)
        began = time.time()
        await accepted(process, "first-row", large)
        answered = time.time() - began
        await until("a row is at the directory", lambda: has_requests(system), 120)
        seconds = min(request["wall"] for request in await system.log("requests")) - began
        print(f"first row at the directory after {seconds:.1f} s, {seconds - answered:+.1f} s to the upload's answer")
        process.terminate()
        await system.stop_processors()


async def created_before(directory: Path, large: bytes) -> None:
    """Stores as many created rows as the file has, and prints how much longer the file's check takes with them."""
    engine = create_engine(database_url(f"sqlite:///{directory / 'created.db'}"))
    await migrate(engine)
    database = Database(engine, 1)
    store = CreatedRowsStore(database, is_alone=True)
    path = directory / "created.csv"
    path.write_bytes(large)
    await store_created(store, path)
    began, before = time.process_time(), psutil.Process().memory_info().rss
    known = KnownRows(store)
    index = await known.of("default", 600)
    grown = psutil.Process().memory_info().rss - before
    seconds = time.process_time() - began
    print(f"{ROWS:,} created rows: read in {seconds:.1f} s of CPU, {grown / ROWS:.0f} B of memory each", flush=True)
    assert len(index) == ROWS
    saved = await known.saved("default", 600, directory / "created.rows")
    for name, content in (("other rows", csv_of(ROWS, "Clinic")), ("the same rows", large)):
        path.write_bytes(content)
        without, with_ = (best_check(path, created) for created in (None, saved))
        found = with_[1].already_created.count
        print(f"check of {ROWS:,} {name}, {found:,} created before: {with_[0] / without[0]:.3f} of {without[0]:.1f} s")
    print("    (aim: below 1.1)")
    await database.close()
    print(f"    a created row in the database: {bytes_of(directory / 'created.db') / ROWS:.1f} B (aim: below 16)")


def bytes_of(path: Path) -> int:
    """The size of a file."""
    return path.stat().st_size


async def store_created(store: CreatedRowsStore, path: Path) -> None:
    """Stores every row of the file as a created one, of jobs of 100,000 rows."""
    progress = await store.take("bench", timedelta(minutes=1))
    hash_of = RowHash(tenant_key(progress.secret, "default")).of
    with path.open(encoding="utf-8") as text:
        header = find_header(text)
        assert isinstance(header, Header)
        rows = iter(RowReader(header).read_again(text))
        for number in range(0, ROWS, 2_000):
            job_id, moment = str(UUID(int=number // 100_000)), now()
            some = [
                HashedRow("default", job_id, row.row, hash_of(row.name, row.address, row.phone), moment)
                for row in islice(rows, 2_000)
            ]
            progress = await store.write(progress, some, {0: number}, timedelta(minutes=1))


def best_check(path: Path, created: CreatedRows | None) -> tuple[float, FileAccepted]:
    """The CPU seconds that the quicker of three checks took, and what it found."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        result = validate_file(path, Rules(ROWS, created=created))
        seconds.append(time.process_time() - began)
    assert isinstance(result, FileAccepted)
    return min(seconds), result


async def has_requests(system: ProcessorSystem) -> bool:
    """Whether the directory was asked for anything."""
    return bool(await system.log("requests"))


async def accepted(process: IngestProcess, key: str, content: bytes) -> None:
    """Uploads, and asserts that it became a job."""
    async with httpx.AsyncClient(base_url=process.url, timeout=600) as client:
        files = {"file": ("large.csv", content, "text/csv")}
        answer = await client.post("/api/v1/hospitals/bulk", files=files, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text


@asynccontextmanager
async def watched(process: IngestProcess) -> AsyncIterator[list[int]]:
    """The resident memory of the service and its workers together, every tenth of a second."""
    found = [0]

    async def watch() -> None:
        while True:
            found.append(process.memory())
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()


def quantile(values: list[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


if __name__ == "__main__":
    begun = time.monotonic()
    asyncio.run(main())
    print(f"measured in {time.monotonic() - begun:.0f} s")
