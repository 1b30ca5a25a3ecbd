"""The commit's answer is lost, or never asked for: 503, and the same key finds out what is true."""

import asyncio

import aiosqlite
import pytest

from services.ingest.job_events.prepared_job import PreparedJob
from services.ingest.keys.reservations import LEASE
from services.ingest.publication.job_transaction import JobTransaction, OutcomeUnknown
from services.ingest.service import LIMITS, Limits
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import jobs


@pytest.fixture
def where(kafka_bootstrap, topic_prefix):
    """Topics of one test's own."""
    return {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}


async def first_and_again(tmp_path, where, transaction_type: type[JobTransaction], limits: Limits = LIMITS):
    """The answer of an upload whose transaction is of this kind, and that of the same request to a sound service."""
    async with ingest(tmp_path, transaction_type=transaction_type, limits=limits, **where) as client:
        await ready(client)
        first = await upload(client, CSV)
    async with ingest(tmp_path, **where) as client:
        await ready(client)
        return first, await accepted(client)


async def accepted(client):
    """What a client gets that repeats its request while it is told to."""
    async with asyncio.timeout(LEASE.total_seconds() - 1):
        while (answer := await upload(client, CSV)).status_code != 202:
            assert answer.headers["retry-after"]
    return answer


async def test_a_commit_whose_answer_was_lost_is_found_by_the_same_key(tmp_path, where):
    """The job is there: its first answer is given, as a replay."""

    class LosesItsAnswer(JobTransaction):
        async def commit(self) -> None:
            await super().commit()
            raise OutcomeUnknown("the answer was lost")

    first, again = await first_and_again(tmp_path, where, LosesItsAnswer)

    assert first.status_code == 503
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert list(await jobs(settings(tmp_path, **where))) == [again.json()["job_id"]]


async def test_a_commit_that_never_arrived_lets_the_same_key_try_again(tmp_path, where):
    """The rows that were written are never seen."""

    class NeverArrives(JobTransaction):
        async def commit(self) -> None:
            raise OutcomeUnknown("no answer within 1.2 s")

    first, again = await first_and_again(tmp_path, where, NeverArrives)

    assert first.status_code == 503
    assert "idempotency-replayed" not in again.headers
    assert list(await jobs(settings(tmp_path, **where))) == [again.json()["job_id"]]


async def test_a_failure_before_the_commit_frees_the_key_at_once(tmp_path, where):
    """Nothing has to be settled: what was not committed never will be."""
    broken = asyncio.Event()

    class BreaksOffOnce(JobTransaction):
        async def write(self, job: PreparedJob, jobs_partition: int) -> None:
            if not broken.is_set():
                broken.set()
                raise TimeoutError("no answer within 1.2 s")
            await super().write(job, jobs_partition)

    async with ingest(tmp_path, transaction_type=BreaksOffOnce, **where) as client:
        await ready(client)
        first, again = [await upload(client, CSV) for _ in range(2)]

    assert (first.status_code, again.status_code) == (503, 202)
    assert list(await jobs(settings(tmp_path, **where))) == [again.json()["job_id"]]


async def test_a_long_publication_keeps_its_lease(tmp_path, where):
    """It is renewed until the job is there, so that nobody settles it."""
    in_the_middle, go_on = asyncio.Event(), asyncio.Event()

    class TakesLong(JobTransaction):
        async def publish(self, job: PreparedJob, jobs_partition: int) -> None:
            in_the_middle.set()
            await go_on.wait()
            await super().publish(job, jobs_partition)

    async with ingest(tmp_path, transaction_type=TakesLong, limits=Limits(renewal_seconds=0.05), **where) as client:
        await ready(client)
        uploading = asyncio.create_task(upload(client, CSV))
        await in_the_middle.wait()
        leases = [await lease(tmp_path)]
        async with asyncio.timeout(10):
            while len(leases) < 3:
                leases += {await lease(tmp_path)} - set(leases)
        go_on.set()
        answer = await uploading

    assert answer.status_code == 202
    assert leases == sorted(leases)


async def lease(directory) -> str:
    """When the lease of the only reservation ends."""
    async with aiosqlite.connect(directory / "ingest.db") as database:
        (row,) = await database.execute_fetchall("SELECT lease_until FROM ingest_reservations")
    return row[0]
