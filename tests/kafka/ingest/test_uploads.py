"""Uploads on a real broker: what is answered, and what stands on the topics."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from shared.contract.cloud_events import header
from shared.contract.events import JobAccepted, RowAccepted
from shared.contract.row_set import decode_rows
from shared.runtime.telemetry import configure_tracing
from tests.support.ingest.ingest_server import CSV, VALIDATE, ingest, ready, settings, upload
from tests.support.ingest.published_jobs import jobs, records

EXAMPLE = Path(__file__).parents[3] / "examples" / "hospitals.csv"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Where reservations are kept."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ingest.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def where(kafka_bootstrap, topic_prefix):
    """Topics of one test's own."""
    return {
        "kafka_bootstrap_servers": kafka_bootstrap,
        "kafka_topic_prefix": topic_prefix,
        "kafka_topic_partitions": 3,
    }


@pytest.fixture
async def client(tmp_path, where):
    """A running ingest service, ready."""
    async with ingest(tmp_path, **where) as client:
        await ready(client)
        yield client


async def test_the_example_becomes_a_job_of_25_rows(client, tmp_path, where):
    """Every row as it stands in the file, in one batch, on the express topic, all in one trace."""
    content = EXAMPLE.read_bytes()

    answer = await upload(client, content)

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/hospitals/status/{body['job_id']}"
    assert (body["status"], body["message"]) == ("pending", "Bulk processing started")
    assert (body["total_hospitals"], body["same_file_as"]) == (25, [])
    published = await jobs(settings(tmp_path, **where))
    accepted, rows = published[body["job_id"]]
    assert accepted.file_sha256 == hashlib.sha256(content).hexdigest()
    assert (accepted.file_name, accepted.express) == ("hospitals.csv", True)
    assert list(accepted.batch_ids) == body["batch_ids"]
    assert sorted(row.row for row in rows) == list(range(2, 27))
    assert {row.batch_id for row in rows} == set(body["batch_ids"])
    assert next(row for row in rows if row.row == 11).address == "2100 River Road\nBuilding C"


async def test_a_corrected_result_file_says_by_itself_what_it_corrects(client, tmp_path, where):
    """In the answers and in the event. How many rows may fail is told as a number of rows."""
    earlier = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"
    rows = "".join(f"Hospital {row},b,{earlier},{row},failed,rejected\n" for row in (4, 7, 9))
    content = f"name,address,result_job_id,result_row,result_status,result_error_code\n{rows}".encode()

    checked = await upload(client, content, None, path=VALIDATE)
    answer = await upload(client, content, params={"max_failures": "50%"})

    assert checked.json()["corrects"] == answer.json()["corrects"] == earlier
    accepted, _ = (await jobs(settings(tmp_path, **where)))[answer.json()["job_id"]]
    assert (accepted.corrects, list(decode_rows(accepted.corrected_rows))) == (earlier, [4, 7, 9])
    assert (accepted.max_failures, accepted.columns) == (1, ("name", "address"))


async def test_all_events_of_an_upload_share_one_trace(client, tmp_path, where):
    """From the upload to the directory."""
    configure_tracing("ingest")
    await upload(client, EXAMPLE.read_bytes())

    topics = settings(tmp_path, **where).topics
    records_found = await records(settings(tmp_path, **where), [topics.rows_express, topics.jobs])
    traces = {header(record.headers, "traceparent") for record in records_found}
    assert len(traces - {None}) == len(traces) == 1
    assert len(records_found) == 26


async def test_the_last_record_of_a_job_is_its_acceptance(client, tmp_path, where):
    """Whoever sees it can see every row."""
    await upload(client, CSV)

    topics = settings(tmp_path, **where).topics
    found = await records(settings(tmp_path, **where), [topics.rows_express, topics.jobs])
    (acceptance,) = [record for record in found if record.topic == topics.jobs]
    assert all(record.timestamp <= acceptance.timestamp for record in found)


async def test_the_same_request_gets_the_same_answer(client, tmp_path, where):
    """Byte for byte, marked as a replay, and no second job. A quoted key is the same key."""
    first = await upload(client, CSV, "k")
    again = [await upload(client, CSV, key) for key in ("k", '"k"')]

    assert {answer.content for answer in again} == {first.content}
    assert {answer.status_code for answer in again} == {202}
    assert {answer.headers["location"] for answer in again} == {first.headers["location"]}
    assert [answer.headers.get("idempotency-replayed") for answer in [first, *again]] == [None, "true", "true"]
    assert len(await jobs(settings(tmp_path, **where))) == 1


async def test_a_key_belongs_to_one_file_with_its_parameters(client):
    """Another one is 422, not a replay and not a second job."""
    await upload(client, CSV, "k")

    answers = [
        await upload(client, CSV + b"Another,3 Main St,\n", "k"),
        await upload(client, CSV, "k", params={"allow_duplicates": "true"}),
    ]

    assert [(answer.status_code, answer.json()["error_type"]) for answer in answers] == [(422, "key_reused")] * 2


async def test_a_validation_failure_is_not_remembered(client):
    """The corrected file may use the same key."""
    assert (await upload(client, b"name\na\n", "k")).status_code == 400
    assert (await upload(client, CSV, "k")).status_code == 202


async def test_the_same_file_with_another_key_is_a_new_job_that_says_so(client):
    """The commonest accident: the same file again tomorrow."""
    first = (await upload(client, CSV, "monday")).json()

    second = (await upload(client, CSV, "tuesday")).json()
    dry_run = (await upload(client, CSV, None, path=VALIDATE)).json()

    assert [same["job_id"] for same in second["same_file_as"]] == [first["job_id"]]
    assert [same["job_id"] for same in dry_run["same_file_as"]] == [second["job_id"], first["job_id"]]


async def test_tenants_may_choose_the_same_key(tmp_path, where):
    """And never see one another's answers or files."""
    keys = ",".join(f"{tenant}:{hashlib.sha256(tenant.encode()).hexdigest()}" for tenant in ("north", "south"))
    async with ingest(tmp_path, api_keys=keys, **where) as client:
        await ready(client)
        north, south = [await upload(client, CSV, "k", headers={"X-API-Key": tenant}) for tenant in ("north", "south")]

    assert north.json()["job_id"] != south.json()["job_id"]
    assert south.json()["same_file_as"] == []
    tenants = {job_id: job.tenant for job_id, (job, _) in (await jobs(settings(tmp_path, **where))).items()}
    assert tenants == {north.json()["job_id"]: "north", south.json()["job_id"]: "south"}


async def test_twenty_posts_of_one_key_at_once_make_one_job(tmp_path, where, database):
    """The others are told that it is in progress, or get the same answer."""
    async with ingest(tmp_path, ingest_database_url=database, **where) as client:
        await _tables(database)
        await ready(client)

        answers = await asyncio.gather(*(upload(client, CSV, "k") for _ in range(20)))
        last = await upload(client, CSV, "k")

    # 503: a busy machine may take longer than the two seconds that an answer may take; the same key is sent again.
    assert {answer.status_code for answer in answers} <= {202, 409, 503}
    accepted = [answer for answer in [*answers, last] if answer.status_code == 202]
    assert {answer.content for answer in accepted} == {last.content}
    assert sum("idempotency-replayed" not in answer.headers for answer in accepted) == 1
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 409)
    assert list(await jobs(settings(tmp_path, **where))) == [last.json()["job_id"]]


async def test_two_replicas_and_one_key_make_one_job(tmp_path, where, postgres_url):
    """They share PostgreSQL, and nothing else."""
    await _tables(postgres_url)
    shared = {**where, "ingest_database_url": postgres_url}
    async with ingest(tmp_path, **shared) as one, ingest(tmp_path, **shared) as other:
        await ready(one)
        await ready(other)
        for number in range(5):
            posts = [upload(client, CSV, f"k{number}") for client in (one, other) for _ in range(3)]
            statuses = {answer.status_code for answer in await asyncio.gather(*posts)}
            assert statuses <= {202, 409, 503}

    assert len(await jobs(settings(tmp_path, **where))) == 5


async def test_a_large_job_goes_bulk_in_batches_of_a_thousand(client, tmp_path, where):
    """Read in another process, published whole."""
    lines = [
        f"Hospital {number},{number} Main Street in a town with a long name,555-{number}" for number in range(12_000)
    ]
    content = ("name,address,phone\n" + "\n".join(lines) + "\n").encode()

    answer = await upload(client, content)

    job, rows = (await jobs(settings(tmp_path, **where)))[answer.json()["job_id"]]
    assert (job.total_hospitals, job.express) == (12_000, False)
    assert sorted(row.row for row in rows) == list(range(2, 12_002))
    per_batch = [sum(row.batch_id == batch_id for row in rows) for batch_id in job.batch_ids]
    assert per_batch == [1000] * 12


async def test_duplicates_that_are_meant_go_to_different_batches(client, tmp_path, where):
    """So that a look-up of a batch has one answer for each row."""
    content = b"name,address\n" + b"a,b\n" * 3 + b"c,d\n"

    answer = await upload(client, content, params={"allow_duplicates": "true"})

    _, rows = (await jobs(settings(tmp_path, **where)))[answer.json()["job_id"]]
    assert len({row.batch_id for row in rows if row.name == "a"}) == 3
    assert len(answer.json()["batch_ids"]) == 3


async def test_rows_have_the_key_that_leads_them_to_their_lane(client, tmp_path, where):
    """job_id:row, as every later round of the row will have."""
    job_id = (await upload(client, CSV)).json()["job_id"]

    topics = settings(tmp_path, **where).topics
    found = await records(settings(tmp_path, **where), [topics.rows_express])

    assert {record.key.decode() for record in found} == {f"{job_id}:2", f"{job_id}:3"}
    assert {dict(record.headers)["ce_id"].decode() for record in found} == {f"{job_id}:2:1", f"{job_id}:3:1"}


async def test_many_uploads_at_once_are_all_answered(client, tmp_path, where):
    """Accepted, or told when to come back; none lost, none double."""
    answers = await asyncio.gather(*(upload(client, CSV, f"k{number}") for number in range(60)))

    accepted = {answer.json()["job_id"] for answer in answers if answer.status_code == 202}
    refused = [answer for answer in answers if answer.status_code != 202]
    assert all(answer.status_code == 503 and answer.headers["retry-after"] for answer in refused)
    assert set(await jobs(settings(tmp_path, **where))) == accepted
    assert accepted


def test_events_of_an_upload_are_the_ones_that_are_declared():
    """For the AsyncAPI document, made without a broker."""
    from services.ingest.asyncapi import declare
    from shared.runtime.settings import KafkaSettings

    broker = declare(KafkaSettings())

    declared = {publisher.topic: publisher.specification.config.schema_ for publisher in broker.publishers}
    assert declared == {
        "hospital.rows.express": RowAccepted,
        "hospital.rows.bulk": RowAccepted,
        "hospital.jobs": JobAccepted,
    }


async def _tables(database: str) -> None:
    """What `python -m services.ingest migrate` does."""
    from services.ingest.keys.schema_version import migrate
    from shared.runtime.databases import create_engine, database_url

    engine = create_engine(database_url(database))
    await migrate(engine)
    await engine.dispose()
