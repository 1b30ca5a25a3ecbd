"""The commit's answer is lost, or never asked for: 503, and the same key finds out what is true."""

import asyncio

import pytest

from services.ingest import submission
from services.ingest.keys.reservations import Reservations
from services.ingest.publication.job_transaction import OutcomeUnknown, Publication
from tests.support.ingest.ingest_server import CSV, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import jobs


@pytest.fixture
def where(kafka_bootstrap, topic_prefix):
    """Topics of one test's own."""
    return {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_topic_prefix": topic_prefix}


@pytest.fixture
async def client(tmp_path, where):
    """A running ingest service, ready."""
    async with ingest(tmp_path, **where) as client:
        await ready(client)
        yield client


async def test_a_commit_whose_answer_was_lost_is_found_by_the_same_key(client, tmp_path, where, monkeypatch):
    """The job is there: its first answer is given, as a replay."""
    commit = Publication._commit

    async def loses_its_answer(publication: Publication) -> None:
        await commit(publication)
        raise OutcomeUnknown("the answer was lost")

    monkeypatch.setattr(Publication, "_commit", loses_its_answer)
    first = await upload(client, CSV)
    monkeypatch.undo()

    again = await answered(client)

    assert first.status_code == 503
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert list(await jobs(settings(tmp_path, **where))) == [again.json()["job_id"]]


async def test_a_commit_that_never_arrived_lets_the_same_key_try_again(client, tmp_path, where, monkeypatch):
    """The rows that were written are never seen."""

    async def never_arrives(_: Publication) -> None:
        raise OutcomeUnknown("no answer within 1.2 s")

    monkeypatch.setattr(Publication, "_commit", never_arrives)
    first = await upload(client, CSV)
    monkeypatch.undo()

    again = await answered(client)

    assert first.status_code == 503
    assert "idempotency-replayed" not in again.headers
    assert list(await jobs(settings(tmp_path, **where))) == [again.json()["job_id"]]


async def test_a_failure_before_the_commit_frees_the_key_at_once(client, tmp_path, where, monkeypatch):
    """Nothing has to be settled: what was not committed never will be."""

    async def breaks_off(*_: object) -> None:
        raise TimeoutError("no answer within 1.2 s")

    monkeypatch.setattr(Publication, "_write", breaks_off)
    first = await upload(client, CSV)
    monkeypatch.undo()
    again = await upload(client, CSV)

    assert (first.status_code, again.status_code) == (503, 202)
    assert list(await jobs(settings(tmp_path, **where))) == [again.json()["job_id"]]


async def test_a_long_publication_keeps_its_lease(client, monkeypatch):
    """It is renewed until the job is there, so that nobody settles it."""
    renewed: list[str] = []
    enough = asyncio.Event()
    renew, write = Reservations.renew, Publication._write

    async def counted(held: Reservations, job_id: str) -> bool:
        renewed.append(job_id)
        if len(renewed) == 2:
            enough.set()
        return await renew(held, job_id)

    async def takes_long(*values: object) -> None:
        await enough.wait()
        await write(*values)

    monkeypatch.setattr(submission, "RENEWAL_SECONDS", 0.05)
    monkeypatch.setattr(Reservations, "renew", counted)
    monkeypatch.setattr(Publication, "_write", takes_long)

    answer = await upload(client, CSV)

    assert answer.status_code == 202
    assert set(renewed) == {answer.json()["job_id"]}


async def answered(client):
    """What a client gets that repeats its request while it is told to."""
    async with asyncio.timeout(30):
        while (answer := await upload(client, CSV)).status_code != 202:
            assert answer.headers["retry-after"]
    return answer
