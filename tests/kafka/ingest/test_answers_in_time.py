"""Kafka goes away: every upload, small or large, is answered 503 within 2 s, and its key makes exactly one job later.

The 2 s begin with the last byte of the body, or with the moment Kafka stopped answering when that is later.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.broker.kafka import Broker
from services.ingest.publication.job_transaction import JobTransaction
from services.ingest.service import LIMITS, Limits
from services.ingest.upload.admission import AdmissionLimits
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import assert_whole_jobs
from tests.support.ingest.repeating_client import hospitals, succeeds
from tests.support.servers import private_broker
from tests.support.until import until

KAFKA_DOWN = "Service temporarily unavailable. The message queue is currently down. Please try again later."
SECONDS = 2.0
PARTITIONS = 3
#: One express job, the smallest bulk job, and one that another process reads.
SIZES = (20, 1_001, 100_000)
CONTENTS = {rows: hospitals(rows) for rows in SIZES}
each_size = pytest.mark.parametrize("rows", SIZES)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One broker for all tests of this file, which runs again at the end of each."""
    with private_broker() as found:
        yield found


class Outage:
    """Ends Kafka, or freezes it, at the moment that a test chooses; knows when."""

    def __init__(self, broker: Broker, how: str) -> None:
        self._broker = broker
        self._how = how
        self.began = 0.0

    async def begin(self) -> None:
        """Kafka answers no more when this returns. Nothing happens when it does not answer already."""
        if not self.began:
            end = {"stopped": self._broker.stop, "killed": self._broker.kill, "frozen": self._freeze}[self._how]
            await asyncio.to_thread(end)
            self.began = time.monotonic()

    def _freeze(self) -> None:
        self._broker.pause()
        # On a busy machine its threads go on for a while after the signal: time enough for a commit.
        assert self._broker.pid
        os.waitpid(self._broker.pid, os.WUNTRACED)

    def end(self) -> None:
        """Kafka answers again."""
        if self._how == "frozen":
            self._broker.resume()
        elif self._broker.pid is None:
            self._broker.start()


@pytest.fixture
def outage(broker, request) -> Iterator[Outage]:
    """The outage of one test, of the kind that its parameter names."""
    found = Outage(broker, request.param)
    yield found
    found.end()


async def answered_in_time(answering: "asyncio.Task[httpx.Response]", outage: Outage, sent: float) -> None:
    """Asserts that the upload was refused in time, in the words that clients know."""
    answer = await answering
    seconds = time.monotonic() - max(outage.began, sent)

    assert (answer.status_code, answer.json()["detail"]) == (503, KAFKA_DOWN)
    assert answer.headers["retry-after"]
    assert seconds < SECONDS


@asynccontextmanager
async def service(
    directory: Path,
    broker: Broker,
    prefix: str,
    transaction_type: type[JobTransaction] = JobTransaction,
    limits: Limits = LIMITS,
) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any]]]:
    """A client of a service that is ready, and where its topics are."""
    where = {
        "kafka_bootstrap_servers": broker.bootstrap,
        "kafka_topic_partitions": PARTITIONS,
        "kafka_topic_prefix": prefix,
    }
    async with ingest(directory, limits=limits, transaction_type=transaction_type, **where) as client:
        await ready(client)
        yield client, where


async def makes_one_job(client: httpx.AsyncClient, where: dict[str, Any], directory: Path, rows: int) -> None:
    """Asserts that the same request makes one whole job now, and that there is nothing of another."""
    answer = await succeeds(client, CONTENTS[rows], "k")

    await assert_whole_jobs(settings(directory, **where), {answer.json()["job_id"]: rows})


@each_size
@pytest.mark.parametrize("outage", ["stopped", "frozen"], indirect=True)
async def test_while_kafka_is_away(tmp_path, broker, topic_prefix, outage, rows):
    """The service was ready before, and its connections are open."""
    async with service(tmp_path, broker, topic_prefix) as (client, where):
        before = await succeeds(client, CSV, "before")
        await outage.begin()

        # The first one finds open connections, the others none.
        keys = ["k", "k", "k-2"] if rows == SIZES[0] else ["k"]
        for key in keys:
            sent = time.monotonic()
            await answered_in_time(asyncio.create_task(upload(client, CONTENTS[rows], key)), outage, sent)

        outage.end()
        made = {(await succeeds(client, CONTENTS[rows], key)).json()["job_id"]: rows for key in keys}
        assert len(made) == len(set(keys))
        await assert_whole_jobs(settings(tmp_path, **where), made | {before.json()["job_id"]: CSV.count(b"\n") - 1})


@each_size
@pytest.mark.parametrize("outage", ["killed", "frozen"], indirect=True)
async def test_in_the_middle_of_the_upload(tmp_path, broker, topic_prefix, outage, rows):
    """Some rows were sent, and the first of them are about to be acknowledged."""

    class BreaksOff(JobTransaction):
        async def _acknowledged(self, batch_sent: asyncio.Future[Any]) -> None:
            await outage.begin()
            await super()._acknowledged(batch_sent)

    await interrupted(tmp_path, broker, topic_prefix, outage, rows, BreaksOff)


@pytest.mark.parametrize(
    ("outage", "rows"), [("killed", SIZES[0]), ("frozen", SIZES[0]), ("frozen", SIZES[-1])], indirect=["outage"]
)
async def test_at_the_commit(tmp_path, broker, topic_prefix, outage, rows):
    """Whether it took place is not known: the same request finds out."""

    class BreaksOff(JobTransaction):
        async def commit(self) -> None:
            await outage.begin()
            await super().commit()

    await interrupted(tmp_path, broker, topic_prefix, outage, rows, BreaksOff)


@pytest.mark.parametrize("outage", ["frozen"], indirect=True)
async def test_while_a_large_file_is_read(tmp_path, broker, topic_prefix, outage, monkeypatch):
    """Nobody reads a minute long for nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = SIZES[-1]
    async with service(tmp_path, broker, topic_prefix) as (client, where):
        uploading = asyncio.create_task(upload(client, CONTENTS[rows], "k"))
        async with asyncio.timeout(20):
            while not is_received(tmp_path, len(CONTENTS[rows])):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await outage.begin()
        await answered_in_time(uploading, outage, 0.0)

        outage.end()
        await makes_one_job(client, where, tmp_path, rows)


@pytest.mark.parametrize("outage", ["frozen"], indirect=True)
async def test_while_another_has_the_only_slot(tmp_path, broker, topic_prefix, outage):
    """The other gives it up for the same silence. What is left of the time is not doubled by that."""
    more = hospitals(20_000)

    class BreaksOff(JobTransaction):
        async def _acknowledged(self, batch_sent: asyncio.Future[Any]) -> None:
            await outage.begin()
            await super()._acknowledged(batch_sent)

    one_slot = Limits(admission=AdmissionLimits(large=1))
    async with service(tmp_path, broker, topic_prefix, BreaksOff, one_slot) as (client, _):
        has_the_slot = asyncio.create_task(upload(client, CONTENTS[SIZES[-1]], "k"))
        await until("Kafka is frozen", lambda: bool(outage.began), 20)
        # Late enough that the slot becomes free before the wait for it is over.
        await asyncio.sleep(0.4)
        sent = time.monotonic()
        waits = asyncio.create_task(upload(client, more, "k-2"))
        await answered_in_time(has_the_slot, outage, 0.0)
        await answered_in_time(waits, outage, sent)

        outage.end()
        await succeeds(client, more, "k-2")


def is_received(directory: Path, size: int) -> bool:
    """Whether the file of an upload is complete."""
    return any(path.stat().st_size == size for path in directory.glob("hospital-ingest-*/*/upload.csv"))


async def interrupted(
    directory: Path, broker: Broker, prefix: str, outage: Outage, rows: int, transaction_type: type[JobTransaction]
) -> None:
    """An upload in whose transaction the outage begins; afterwards the same request makes one job."""
    async with service(directory, broker, prefix, transaction_type) as (client, where):
        await answered_in_time(asyncio.create_task(upload(client, CONTENTS[rows], "k")), outage, 0.0)
        assert outage.began

        outage.end()
        await makes_one_job(client, where, directory, rows)
