"""The example of a downstream consumer: what it stores, and the whole program on a real broker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from examples.downstream_consumer import check, handle, open_store
from shared.contract.cloud_events import encode
from shared.contract.events import (
    Event,
    JobFinished,
    JobOutcome,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowResolved,
    RowUnprocessed,
    SendingPaused,
)
from shared.contract.outcomes_digest import OutcomesDigest
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import wait_for_topics
from shared.runtime.settings import KafkaSettings

EXAMPLE = Path(__file__).parents[2] / "examples" / "downstream_consumer.py"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Record:
    """The parts of a record that the consumer reads."""

    headers: list[tuple[str, bytes]]
    value: bytes
    offset: int


@pytest.fixture
def store():
    return open_store(":memory:")


def read(store, *events: Event):
    """Gives the events to the consumer, in that order. Returns the lines that it prints."""
    records = [Record(encoded.headers, encoded.value, place) for place, encoded in enumerate(map(_encoded, events))]
    return [line for record in records if (line := handle(store, record))] + list(check(store))


def _encoded(event):
    return encode(event, "test")


def result(kind, row, round_=1, **more):
    known = {"tenant": "north", "job_id": "job-1", "batch_id": "batch-1", "row": row, "round": round_}
    return kind(
        **known, name=f"Hospital {row}", cells=(f"Hospital {row}", "1 Road"), attempts=1, started_at=NOW, **more
    )


def created(row, round_=1):
    return result(RowCreated, row, round_, hospital_id=100 + row)


def failed(row, round_=1):
    return result(RowFailed, row, round_, code=RowErrorCode.OUTCOME_UNKNOWN, message="Nobody knows")


def resolved(row, hospital_id):
    return RowResolved(tenant="north", job_id="job-1", row=row, hospital_id=hospital_id, resolved_by="somebody")


def finished(created, failed=0, unprocessed=0, round_=1, sha256=None):
    counts = {"created_hospitals": created, "failed_hospitals": failed, "unprocessed_hospitals": unprocessed}
    outcome = JobOutcome.SOME_FAILED if failed else JobOutcome.ALL_CREATED
    total = created + failed + unprocessed
    known = {"tenant": "north", "job_id": "job-1", "round": round_, "batch_ids": ("batch-1",)}
    return JobFinished(**known, outcome=outcome, total_hospitals=total, **counts, outcomes_sha256=sha256)


def digest(*outcomes):
    """The hash of a job whose rows have become so: (row, status, hospital)."""
    found = OutcomesDigest()
    for outcome in outcomes:
        found.add(*outcome)
    return found.hexdigest()


def test_a_created_hospital_is_printed_once_however_often_its_event_appears(store):
    """A crash of the writer or of the reader makes it appear again, under the same id."""
    assert read(store, created(2), created(2)) == ["Created: Hospital 2 is hospital 102"]
    assert read(store, created(2)) == []


def test_a_job_is_checked_when_all_of_its_rows_are_there(store):
    """Its end may be read before its last result, since they are on different topics."""
    assert read(store, created(2), finished(1, 1)) == ["Created: Hospital 2 is hospital 102"]
    agreed = "Finished: job job-1, round 1: 1 created, 1 failed, 0 unprocessed, as it says"
    assert read(store, failed(3)) == [agreed]
    assert read(store, finished(1, 1)) == []


def test_counts_that_differ_are_printed(store):
    """Something was missed."""
    [_, line] = read(store, created(2), failed(3), finished(2))
    assert line.endswith(
        "1 created, 1 failed, 0 unprocessed, BUT IT SAYS 2 created, 0 failed, 0 unprocessed, hash None"
    )


def test_the_hash_is_checked_as_the_services_make_it(store):
    """Also where the counts agree: another hospital, another row, or another order is another hash."""
    rows = [(2, "created", 102), (3, "failed", None), (10, "created", "h-10")]
    known = created(10).model_copy(update={"hospital_id": "h-10"}), failed(3), created(2)
    *_, line = read(store, *known, finished(2, 1, sha256=digest(*rows)))
    assert line.endswith("2 created, 1 failed, 0 unprocessed, as it says")
    other = digest((2, "created", 103), *rows[1:])
    [line] = read(store, finished(2, 1, round_=2, sha256=other))
    assert line.endswith(f"BUT IT SAYS 2 created, 1 failed, 0 unprocessed, hash {other}")


def test_a_person_may_change_their_mind(store):
    """The later decision counts, although it has the same id."""
    sha256 = digest((2, "created", 102), (3, "created", 17))
    *_, line = read(store, created(2), failed(3), resolved(3, None), resolved(3, 17), finished(2, sha256=sha256))
    assert line.endswith("as it says")


def test_the_highest_round_of_a_row_counts(store):
    """A retry makes something else of it; an end of an earlier round that is read late knows nothing of that."""
    *_, first, second = read(
        store, created(2), failed(3), created(3, 2), result(RowUnprocessed, 4, message="Cancelled"),
        created(4, 2), finished(1, 1, 1), finished(3, round_=2),
    )  # fmt: skip
    assert "round 1: 1 created, 1 failed, 1 unprocessed, as it says" in first
    assert "round 2: 3 created, 0 failed, 0 unprocessed, as it says" in second


def test_a_row_that_a_person_settled_counts_from_then_on(store):
    """In ends that were written after it, and not in those before."""
    *_, first, second = read(
        store, created(2), failed(3), failed(4), finished(1, 2), resolved(3, 17), created(4, 2), finished(3, round_=2)
    )
    assert "round 1: 1 created, 2 failed, 0 unprocessed, as it says" in first
    assert "round 2: 3 created, 0 failed, 0 unprocessed, as it says" in second


def test_a_row_that_is_known_to_be_absent_stays_failed(store):
    """Nothing was created."""
    *_, line = read(store, failed(3), created(2), resolved(3, None), finished(1, 1))
    assert "1 created, 1 failed" in line


def test_what_it_does_not_know_is_skipped(store):
    """There will be new types of events."""
    assert read(store, SendingPaused(request_id="1")) == []


@asynccontextmanager
async def running(bootstrap: str, prefix: str, database: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example as a process."""
    variables = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "KAFKA_TOPIC_PREFIX": prefix, "CONSUMER_DATABASE": str(database)}
    environment = {**os.environ, **variables}
    process = await asyncio.create_subprocess_exec(sys.executable, EXAMPLE, env=environment, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(process: asyncio.subprocess.Process, text: str) -> list[str]:
    """The lines up to the one with the text."""
    lines = []
    async with asyncio.timeout(60):
        while not lines or text not in lines[-1]:
            assert process.stdout
            line = await process.stdout.readline()
            assert line, lines
            lines.append(line.decode().strip())
    return lines


async def test_on_a_real_broker_it_reads_what_is_committed_and_goes_on_after_a_kill(
    kafka_bootstrap, topic_prefix, tmp_path
):
    """An aborted creation is never printed; after kill -9 no hospital that is stored already is printed again."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    await wait_for_topics(settings)
    results, jobs = settings.topics.results, settings.topics.jobs
    producer = AIOKafkaProducer(
        **kafka_options.producer_options(settings), transactional_id=settings.topics.transactional_id("test")
    )
    database = tmp_path / "downstream.db"

    async def write(topic, *events):
        for event in events:
            await producer.send(topic, **_encoded(event).fields())

    async with producer:
        await producer.begin_transaction()
        await write(results, created(9))
        await producer.abort_transaction()
        async with producer.transaction():
            await write(results, created(2), created(2), failed(3))
            await write(jobs, finished(1, 1))
        async with running(kafka_bootstrap, topic_prefix, database) as process:
            seen = await until(process, "Finished: job job-1, round 1: 1 created, 1 failed, 0 unprocessed, as it says")
            assert [line for line in seen if "Created" in line] == ["Created: Hospital 2 is hospital 102"]
            process.kill()
        async with producer.transaction():
            await write(results, created(2), created(3, 2))
            await write(jobs, finished(2, round_=2))
        async with running(kafka_bootstrap, topic_prefix, database) as process:
            seen = await until(process, "Finished: job job-1, round 2: 2 created, 0 failed, 0 unprocessed, as it says")
            assert [line for line in seen if "Created" in line] == ["Created: Hospital 3 is hospital 103"]
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await process.wait() == 0
