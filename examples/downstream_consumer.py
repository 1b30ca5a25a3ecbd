"""An example of a downstream consumer: prints every hospital that was created, and checks every job that has finished.

    pip install aiokafka
    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 python examples/downstream_consumer.py

It needs nothing of this repository: records are JSON with CloudEvents headers. Your own consumer should also:

- Read committed records only: others belong to aborted transactions.
- Do its work and store the record's `ce_id` in one transaction, and commit offsets after it. A crash makes records
  appear twice; their `ce_id` shows it. Here the work is a row in SQLite; the printed lines only show it.
- Expect the two topics in any order: a job's end may be read before its last result. Both topics have the job's id as
  key and the same number of partitions, so with the range assignor one consumer gets all records of a job.
- Use the result of the highest round: a row that failed may be retried, and then has a result for each round.
- Compare its own rows with the counts and the hash in JobFinished. When they differ, it has missed records, for example
  because its group was away for longer than the topics keep them.
- Skip types of events that it does not know: there will be new ones.
"""

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

BOOTSTRAP_SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
PREFIX = os.environ.get("KAFKA_TOPIC_PREFIX", "")
DATABASE = os.environ.get("CONSUMER_DATABASE", "downstream.db")

TABLES = """
CREATE TABLE IF NOT EXISTS results (
    ce_id TEXT PRIMARY KEY, job_id TEXT, row INTEGER, round INTEGER, status TEXT, hospital_id TEXT, name TEXT);
CREATE INDEX IF NOT EXISTS results_of_job ON results (job_id, row, round);
CREATE TABLE IF NOT EXISTS resolved (
    job_id TEXT, row INTEGER, round INTEGER, place INTEGER, hospital_id TEXT, PRIMARY KEY (job_id, row, round, place));
CREATE TABLE IF NOT EXISTS finished (
    ce_id TEXT PRIMARY KEY, job_id TEXT, round INTEGER, total INTEGER, created INTEGER, failed INTEGER,
    unprocessed INTEGER, outcomes_sha256 TEXT, place INTEGER, checked INTEGER DEFAULT 0);
"""
KNOWN_ROWS = "SELECT COUNT(DISTINCT row) FROM results WHERE job_id = :job_id AND round <= :round"
#: The outcome of each row up to a round: the result of its highest round, and the hospital that a person found for it.
#: A decision counts for a job's end when it stands before that end in the partition.
OUTCOMES = """
SELECT results.row, status, hospital_id, (
    SELECT resolved.hospital_id FROM resolved
    WHERE resolved.job_id = results.job_id AND resolved.row = results.row AND resolved.round = results.round
    AND place < :place ORDER BY resolved.hospital_id IS NULL, place DESC LIMIT 1) AS found
FROM results JOIN (
    SELECT row, MAX(round) AS round FROM results WHERE job_id = :job_id AND round <= :round GROUP BY row) AS highest
ON results.row = highest.row AND results.round = highest.round
WHERE job_id = :job_id ORDER BY results.row
"""
RESULTS = {"RowCreated": "created", "RowFailed": "failed", "RowUnprocessed": "unprocessed"}


def open_store(path: str) -> sqlite3.Connection:
    """The consumer's own tables."""
    store = sqlite3.connect(path)
    store.row_factory = sqlite3.Row
    store.executescript(TABLES)
    return store


def handle(store: sqlite3.Connection, record: ConsumerRecord) -> str | None:
    """Stores a record. Returns a line to print when it is a new hospital."""
    headers = {name: value.decode() for name, value in record.headers}
    kind, ce_id = headers.get("ce_type"), headers.get("ce_id")
    if kind not in {*RESULTS, "RowResolved", "JobFinished"}:
        return None
    event: dict[str, Any] = json.loads(record.value)
    job_id, round_ = event["job_id"], event["round"]
    hospital_id = _text(event.get("hospital_id"))
    if kind in RESULTS:
        found = (ce_id, job_id, event["row"], round_, RESULTS[kind], hospital_id, event["name"])
        new = _insert(store, "results (ce_id, job_id, row, round, status, hospital_id, name)", found)
        return f"Created: {event['name']} is hospital {hospital_id}" if new and kind == "RowCreated" else None
    if kind == "RowResolved":
        # A row may be settled twice: the later decision in the partition counts.
        settled = (job_id, event["row"], round_, record.offset, hospital_id)
        new = _insert(store, "resolved (job_id, row, round, place, hospital_id)", settled)
        return f"Settled: row {event['row']} of job {job_id} is hospital {hospital_id}" if new and hospital_id else None
    counts = (event[f"{name}_hospitals"] for name in ("total", "created", "failed", "unprocessed"))
    end = (ce_id, job_id, round_, *counts, event.get("outcomes_sha256"), record.offset)
    columns = "ce_id, job_id, round, total, created, failed, unprocessed, outcomes_sha256, place"
    _insert(store, f"finished ({columns})", end)
    return None


def check(store: sqlite3.Connection) -> Iterator[str]:
    """Compares each finished job, once all its rows are known, with its JobFinished. Yields a line for each."""
    for job in store.execute("SELECT * FROM finished WHERE NOT checked").fetchall():
        [known] = store.execute(KNOWN_ROWS, dict(job)).fetchone()
        if known >= job["total"]:
            counted, digest = outcomes(store, job)
            stated = {status: job[status] for status in RESULTS.values()}
            same = counted == stated and job["outcomes_sha256"] in (None, digest)
            agreed = "as it says" if same else f"BUT IT SAYS {_words(stated)}, hash {job['outcomes_sha256']}"
            yield f"Finished: job {job['job_id']}, round {job['round']}: {_words(counted)}, {agreed}"
            store.execute("UPDATE finished SET checked = 1 WHERE ce_id = ?", (job["ce_id"],))


def outcomes(store: sqlite3.Connection, job: sqlite3.Row) -> tuple[dict[str, int], str]:
    """The number of rows by status, and the hash over all rows, as JobFinished defines it."""
    counted = dict.fromkeys(RESULTS.values(), 0)
    digest = hashlib.sha256()
    for row, status, hospital_id, found in store.execute(OUTCOMES, dict(job)):
        outcome, id_ = ("created", found) if status == "failed" and found is not None else (status, hospital_id)
        counted[outcome] += 1
        digest.update(f"{row}:{outcome}:{id_ or ''}\n".encode())
    return counted, digest.hexdigest()


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _insert(store: sqlite3.Connection, into: str, fields: tuple[object, ...]) -> bool:
    """Inserts a row. Returns False when it is there already: the same ce_id is the same event."""
    values = ", ".join("?" * len(fields))
    return store.execute(f"INSERT OR IGNORE INTO {into} VALUES ({values})", fields).rowcount == 1  # noqa: S608


def _text(hospital_id: int | str | None) -> str | None:
    return None if hospital_id is None else str(hospital_id)


async def consume(store: sqlite3.Connection) -> None:
    """Consumes both topics until cancelled."""
    consumer = AIOKafkaConsumer(
        f"{PREFIX}hospital.results",
        f"{PREFIX}hospital.jobs",
        bootstrap_servers=BOOTSTRAP_SERVERS,
        group_id=f"{PREFIX}example-downstream",
        isolation_level="read_committed",
        enable_auto_commit=False,
        # A new group begins with the first record.
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RangePartitionAssignor,),
        # A little more than the largest record of the topics: larger ones would be skipped.
        max_partition_fetch_bytes=1_100_000,
    )
    await consumer.start()
    try:
        while True:
            batches = await consumer.getmany(timeout_ms=1_000, max_records=1_000)
            if not batches:
                continue
            with store:
                lines = [handle(store, record) for records in batches.values() for record in records]
                lines += check(store)
            for line in filter(None, lines):
                print(line, flush=True)
            await consumer.commit()
    finally:
        await consumer.stop()


async def main() -> None:
    """Runs until Ctrl-C or SIGTERM."""
    running = asyncio.ensure_future(consume(open_store(DATABASE)))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()


if __name__ == "__main__":
    asyncio.run(main())
