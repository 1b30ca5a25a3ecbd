"""The status service as a process, on a real broker: what it answers, and what no crash may change."""

import asyncio
import time
from collections import Counter
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from deploy.local.ports import free_port as some_free_port
from services.status.queries.topic_ends import TopicEnds
from shared.contract.cloud_events import encode
from shared.contract.events import BatchActivationRequested, JobFinished, JobOutcome, RowErrorCode, now
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory, report
from tests.support.status.status_service import API, StatusService, eventually


def new_job(total=3):
    """A job that nobody else has."""
    return JobHistory(total=total, job_id=str(uuid4()))


@pytest.fixture
def settings(kafka_bootstrap, topic_prefix):
    """An installation of its own on the shared broker."""
    return KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/status.db"


@pytest.fixture
async def service(settings, sqlite_url, free_port, tmp_path):
    """A status service that has been started."""
    async with StatusService(settings, sqlite_url, free_port, tmp_path / "status.log") as service:
        yield service


async def test_the_walk(service):
    """Accepted, created, finished, activated; every step is seen over HTTP."""
    job = new_job(total=2)
    job_id = job.about["job_id"]
    await service.write(job.accepted(), report(seconds=0).model_copy(update={"occurred_at": now()}))
    await service.shows(job_id, status="pending", waiting_for=None)
    await service.write(job.created(2))
    await service.shows(job_id, status="processing", message="Processing 1 of 2 hospitals")
    await service.write(job.created(3))
    await service.shows(job_id, processed_hospitals=2, status="processing")

    async def is_finished():
        return any(isinstance(event, JobFinished) for event in await service.read(service.topics.jobs))

    await eventually(is_finished)
    await service.write(job.activated())
    answer = await service.shows(job_id, status="completed")
    assert (answer["outcome"], answer["activated"]) == ("all_created", True)
    ready = (await service.http.get("/health/ready")).json()
    assert ready["dependencies"].keys() == {"database", "kafka", "projection", "orders"}
    metrics = (await service.http.get("/metrics")).text
    assert "hospital_status_results_projected_total 2.0" in metrics
    assert "hospital_status_projection_lag_records{" in metrics


async def test_head_is_answered_wherever_get_is(service):
    """As `curl -I` asks: the same status and headers, and an event stream ends at once."""
    job = new_job(total=1)
    job_id = job.about["job_id"]
    await service.write(job.accepted(), job.created(2))
    await service.shows(job_id, created_hospitals=1)
    paths = [f"{API}/status/{job_id}", f"{API}/jobs", "/health", "/"]
    paths += [f"{API}/jobs/{job_id}/{part}" for part in ("rows", "successful.csv", "events")]
    for path in paths:
        async with service.http.stream("GET", path) as got:
            head = await service.http.head(path, timeout=5)
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["content-type"] == got.headers["content-type"], path
    assert (await service.http.head(f"{API}/jobs/{job_id}/other.csv")).status_code == 404


async def test_a_rebuild_gives_the_same_answers_and_finishes_nothing_again(settings, tmp_path, free_port):
    """The tables are thrown away, and made again from the topics."""
    job = new_job(total=2)
    job_id = job.about["job_id"]
    async with StatusService(settings, f"sqlite:///{tmp_path}/a.db", free_port, tmp_path / "a.log") as service:
        await service.write(job.accepted(), job.created(2), job.failed(3))
        before = await service.shows(job_id, status="completed")
    async with StatusService(settings, f"sqlite:///{tmp_path}/b.db", free_port, tmp_path / "b.log") as service:
        after = await service.shows(job_id, status="completed")
        other = new_job(total=1)
        await service.write(other.accepted(), other.failed(2))
        await service.shows(other.about["job_id"], status="failed")
        finished = [event for event in await service.read(service.topics.jobs) if isinstance(event, JobFinished)]
    assert after == before
    assert Counter(event.job_id for event in finished) == {job_id: 1, other.about["job_id"]: 1}


async def test_two_replicas_share_the_partitions_and_the_tables(settings, postgres_url, free_port, tmp_path):
    """PostgreSQL, migrated by the command; one replica joins and one is killed in the middle."""
    first = StatusService(settings, postgres_url, free_port, tmp_path / "first.log")
    assert await first.run("migrate") == 0
    job = new_job(total=3_000)
    job_id = job.about["job_id"]
    async with first:
        await first.write(job.accepted(), *(job.created(row) for row in range(2, 1_002)))
        await first.shows(job_id, created_hospitals=1_000)
        second = StatusService(settings, postgres_url, some_free_port(), tmp_path / "second.log")
        async with second:
            await second.ready()
            await first.write(*(job.created(row) for row in range(1_002, 2_002)))
            await second.shows(job_id, created_hospitals=2_000)
            await first.kill()
            await second.write(*(job.created(row) for row in range(1_900, 3_002)))
            await second.shows(job_id, created_hospitals=3_000, processed_hospitals=3_000)


async def test_a_postgresql_that_nobody_migrated_is_named_and_taken_up_when_it_is(
    settings, postgres_url, free_port, tmp_path
):
    """Not ready, and no restart needed afterwards."""
    async with StatusService(settings, postgres_url, free_port, tmp_path / "status.log") as service:

        async def is_named():
            answer = (await service.http.get("/health/ready")).json()
            return "python -m services.status migrate" in answer["dependencies"]["database"].get("detail", "")

        await eventually(is_named)
        assert (await service.http.get("/health/ready")).status_code == 503
        assert await service.run("migrate") == 0
        await service.ready()


def needing_kafka(job_id, batch_id):
    """Everything that a known job does not answer from the tables alone: commands, and look-ups of an unknown id."""
    unknown = f"{API}/jobs/{uuid4()}"
    reads = ["rows", "batches", "events", "successful.csv", "failed.csv", "unprocessed.csv"]
    return [
        ("GET", f"{API}/status/{uuid4()}"),
        *(("GET", f"{unknown}/{path}") for path in reads),
        ("POST", f"{unknown}/cancel"),
        ("POST", f"{API}/jobs/{job_id}/retry"),
        ("PATCH", f"{API}/bulk/batch/{uuid4()}/activate"),
        ("PATCH", f"{API}/bulk/batch/{batch_id}/activate"),
    ]


@pytest.mark.parametrize("outage", ["stopped", "frozen"])
async def test_kafka_may_stop_and_come_back_without_a_restart(own_broker, sqlite_url, free_port, tmp_path, outage):
    """Known jobs are answered meanwhile; what needs Kafka is 503 within 2 s; then everything goes on."""
    broker = own_broker()
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap, kafka_topic_partitions=2)
    job = new_job(total=2)
    job_id, batch_id = job.about["job_id"], job.batch_ids[0]
    async with StatusService(settings, sqlite_url, free_port, tmp_path / "status.log") as service:
        await service.write(job.accepted(), job.created(2), job.failed(3))
        await service.shows(job_id, status="completed")
        await asyncio.to_thread(broker.stop if outage == "stopped" else broker.pause)
        assert (await service.status(job_id))["status"] == "completed"
        for method, path in needing_kafka(job_id, batch_id):
            began = time.monotonic()
            answer = await service.http.request(method, path)
            assert (answer.status_code, path) == (503, path)
            assert time.monotonic() - began < 2.0, path
        assert (await service.http.get("/health/ready")).status_code == 503
        await asyncio.to_thread(broker.start if outage == "stopped" else broker.resume)
        await service.ready()
        async with AIOKafkaProducer(**kafka_options.producer_options(settings)) as producer:
            later = new_job(total=1)
            for event in (later.accepted(), later.failed(2)):
                await producer.send_and_wait(service.topic_of(event), **encode(event, "test").fields())
        await service.shows(later.about["job_id"], status="failed")


async def test_an_unknown_id_is_404_and_one_behind_an_open_transaction_is_503(service):
    """The topic goes on behind it, and nobody can read that yet."""
    await service.ready()
    job = new_job()
    job_id = job.about["job_id"]
    assert (await service.http.get(f"{API}/status/{job_id}")).status_code == 404
    options = kafka_options.producer_options(service.settings) | {"transactional_id": f"upload-{job_id}"}
    async with AIOKafkaProducer(**options) as upload:
        async with upload.transaction():
            await upload.send_and_wait(service.topics.jobs, **encode(job.accepted(), "test").fields())
            began = time.monotonic()
            answer = await service.http.get(f"{API}/status/{job_id}")
            assert (answer.status_code, answer.json()["error_type"]) == (503, "not_known_yet")
            assert time.monotonic() - began < 2.5
        assert (await service.http.get(f"{API}/status/{job_id}")).status_code == 200, "never 404 once accepted"


async def test_an_activation_by_hand_is_asked_for_on_the_topic_and_read_back(service):
    """By whichever processor answers."""
    job = new_job(total=2)
    await service.write(job.accepted(), job.created(2), job.failed(3))
    await service.shows(job.about["job_id"], status="completed")
    asked = asyncio.create_task(service.http.patch(f"{API}/bulk/batch/{job.batch_ids[0]}/activate"))
    requests = []

    async def is_asked():
        found = await service.read(service.topics.jobs)
        requests.extend(event for event in found if isinstance(event, BatchActivationRequested))
        return bool(requests)

    await eventually(is_asked)
    await service.write(job.activated(request_id=requests[0].request_id))
    answer = await asked
    assert (answer.status_code, answer.json()["activated"]) == (200, True)
    await service.shows(job.about["job_id"], activated=True)


async def test_a_result_that_cannot_be_read_is_a_dead_letter_and_fails_its_row(service):
    """The job still ends."""
    job = new_job(total=2)
    bad = encode(job.created(3), "test")
    await service.write(job.accepted(), job.created(2))
    await service.producer.send_and_wait(service.topics.results, b"{", bad.key, headers=bad.headers)
    await service.shows(job.about["job_id"], status="completed", outcome="some_failed", failed_hospitals=1)
    [letter] = await service.records(service.topics.dead_letters)
    headers = dict(letter.headers)
    assert (letter.key, letter.value, headers["topic"]) == (bad.key, b"{", service.topics.results.encode())
    assert headers.keys() >= {"reason", "partition", "offset", "ce_id"}


async def test_records_that_were_deleted_unread_stop_the_projection_loudly(service):
    """Going on would give wrong answers, silently."""
    job = new_job(total=50)
    job_id = job.about["job_id"]
    await service.write(job.accepted(), job.created(2))
    await service.shows(job_id, created_hospitals=1)
    await service.kill()
    await service.write(*(job.created(row) for row in range(3, 52)))
    ends = TopicEnds(service.settings)
    partition = TopicPartition(service.topics.results, ends.partition_of(job_id).partition)
    admin: AIOKafkaAdminClient = kafka_options.admin_client(service.settings)
    await admin.start()
    await admin.delete_records({partition: RecordsToDelete(before_offset=20)})
    await admin.close()
    await service.start()

    async def is_loud():
        answer = (await service.http.get("/health/ready")).json()
        return "does not have the records that come next" in str(answer)

    await eventually(is_loud)
    assert (await service.status(job_id))["created_hospitals"] == 1


async def test_a_job_whose_last_unknown_row_is_settled_by_hand_is_finished_again_and_activated(service):
    """Over HTTP: the row, the counts, the outcome, a JobFinished that says all_created, and the activation after it."""
    job = new_job(total=2)
    job_id = job.about["job_id"]
    await service.write(job.accepted(), job.created(2), job.failed(3, code=RowErrorCode.OUTCOME_UNKNOWN))
    await service.shows(job_id, status="completed", outcome=JobOutcome.SOME_FAILED.value)
    answer = await service.http.post(f"{API}/jobs/{job_id}/rows/3/resolve", json={"hospital_id": 77})
    assert answer.status_code == 202
    await service.shows(job_id, created_hospitals=2, failed_hospitals=0, status="processing")

    async def is_finished_again():
        found = [event for event in await service.read(service.topics.jobs) if isinstance(event, JobFinished)]
        return [(event.round, event.outcome) for event in found] == [(1, "some_failed"), (2, "all_created")]

    await eventually(is_finished_again)
    await service.write(job.activated(request_id="finished:2"))
    await service.shows(job_id, status="completed", outcome="all_created", activated=True)
    [_, row] = (await service.http.get(f"{API}/jobs/{job_id}/rows")).json()["rows"]
    assert (row["status"], row["hospital_id"], row["error"]) == ("created_and_activated", 77, None)


async def test_the_outcome_of_a_retry_replaces_that_of_the_round_before(service):
    """Its JobFinished is sent too."""
    job = new_job(total=2)
    job_id = job.about["job_id"]
    await service.write(job.accepted(), job.created(2), job.failed(3))
    await service.shows(job_id, status="completed", outcome=JobOutcome.SOME_FAILED.value)
    await service.write(job.retried(2))
    await service.shows(job_id, status="processing", processed_hospitals=1)
    await service.write(job.created(3, round_=2))

    async def is_finished_again():
        found = await service.read(service.topics.jobs)
        return [event.round for event in found if isinstance(event, JobFinished)] == [1, 2]

    await eventually(is_finished_again)
    await service.write(job.activated(request_id="finished:2"))
    await service.shows(job_id, status="completed", outcome="all_created", activated=True)
