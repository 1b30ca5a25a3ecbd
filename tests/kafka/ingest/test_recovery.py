"""Uploads that broke off: whatever is found, one key makes one job."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from services.ingest.csv_file.validation import Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.prepared_job import PreparedJob, prepare
from services.ingest.keys.recovery import NotSettled, Recovery
from services.ingest.keys.replay import Replays
from services.ingest.keys.reservations import Abandoned, Answered, Free, KeyedRequest, Reservation, Reservations
from services.ingest.keys.schema_version import migrate
from services.ingest.publication.connection_pool import ConnectionPool
from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown, open_transaction
from services.ingest.publication.jobs_topic import JobsTopic
from shared.contract.events import now
from shared.runtime.databases import Database, create_engine, database_url
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.problems import Problem
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import create_missing_topics
from tests.support.ingest.ingest_server import CSV, settings
from tests.support.ingest.published_jobs import jobs, records
from tests.support.ingest.written_csv import written

REQUEST = KeyedRequest("north", "key-1", "abc:False")


class BrokenOff:
    """Uploads that go as far as a test wants, and everything that settles them."""

    def __init__(self, settings_, reservations, directory):
        self.settings = settings_
        self.reservations = reservations
        self.jobs = JobsTopic(settings_)
        self.pool = ConnectionPool(settings_)
        self.recovery = Recovery(self.pool, reservations, self.jobs)
        self.replays = Replays(reservations, self.recovery)
        self._directory = directory

    def prepared(self, job_id: str) -> PreparedJob:
        """A job of two rows, ready to be sent."""
        draft = JobDraft(
            "north", job_id, "a.csv", "ab" * 32, now(), None, 1000, 1000, self.settings.kafka_topic_partitions
        )
        job = prepare(written(self._directory, CSV), Rules(10), draft)
        assert isinstance(job, PreparedJob)
        return job

    async def reserved(self, job_id: str) -> Reservation:
        """The reservation of that job, written and at once abandoned: nobody renews it any more."""
        partition = self.jobs.partition_of(job_id)
        offset = await self.jobs.lower_bound(partition, 10)
        reservation = Reservation(REQUEST, job_id, "ab" * 32, "a.csv", partition, offset, b"{}", now())
        assert await self.reservations.reserve(reservation)
        await self.reservations.abandon(job_id)
        return reservation


@pytest.fixture
async def uploads(tmp_path, kafka_bootstrap, topic_prefix):
    """Uploads with a database and topics of their own."""
    where = settings(tmp_path, kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix)
    await create_missing_topics(where)
    engine = create_engine(database_url(where.ingest_database_url))
    await migrate(engine)
    uploads = BrokenOff(where, Reservations(Database(engine, 10), 300), tmp_path)
    yield uploads
    uploads.pool.close()
    await engine.dispose()


async def test_a_job_that_was_committed_is_found_and_accepted(uploads):
    """The process died after the commit, or its answer was lost."""
    reservation = await uploads.reserved("job-a")
    async with open_transaction(uploads.pool, "job-a", 2, AnswerBudget(10)) as transaction:
        await transaction.publish(uploads.prepared("job-a"), reservation.jobs_partition)

    answered = await uploads.replays.answer_to(REQUEST, AnswerBudget(10))

    assert answered == Answered(reservation.answer, "job-a")
    assert len(await uploads.reservations.same_files("north", reservation.file_sha256)) == 1


async def test_a_job_that_was_never_written_frees_its_key(uploads):
    """The process died before the first record."""
    await uploads.reserved("job-b")

    assert await uploads.replays.answer_to(REQUEST, AnswerBudget(10)) is None
    assert await uploads.reservations.look_up(REQUEST) == Free()


async def test_a_half_written_job_is_cut_off_and_frees_its_key(uploads):
    """The frozen owner wakes up afterwards, and can neither write nor commit."""
    reservation = await uploads.reserved("job-c")
    async with open_transaction(uploads.pool, "job-c", 2, AnswerBudget(10)) as transaction:
        job = uploads.prepared("job-c")
        await transaction.write(job, reservation.jobs_partition)

        await uploads.recovery.settle(reservation, AnswerBudget(20))

        assert await uploads.reservations.look_up(REQUEST) == Free()
        with pytest.raises((OutcomeUnknown, NotPublished)):
            await transaction.commit()
    assert await jobs(uploads.settings) == {}


async def test_an_owner_that_wakes_up_before_its_first_record_is_cut_off_too(uploads):
    """Its producer was started before the reservation: so whoever settles comes later, and fences it."""
    async with open_transaction(uploads.pool, "job-d", 2, AnswerBudget(10)) as transaction:
        reservation = await uploads.reserved("job-d")

        await uploads.recovery.settle(reservation, AnswerBudget(20))

        with pytest.raises((OutcomeUnknown, NotPublished)):
            await transaction.publish(uploads.prepared("job-d"), reservation.jobs_partition)
    assert await jobs(uploads.settings) == {}


async def test_another_upload_s_open_transaction_does_not_hide_the_job(uploads):
    """Until it ends nobody can tell, so the key stays in progress; then the job is found."""
    replays = replace(uploads.replays, settle_seconds=3.0)
    reservation = await uploads.reserved("job-e")
    async with AsyncExitStack() as stack:
        other = AIOKafkaProducer(
            **kafka_options.producer_options(uploads.settings),
            transactional_id=f"{uploads.settings.topics.prefix}other",
        )
        await other.start()
        stack.push_async_callback(other.stop)
        await other.begin_transaction()
        await other.send_and_wait(uploads.settings.topics.jobs, b"x", partition=reservation.jobs_partition)
        async with open_transaction(uploads.pool, "job-e", 2, AnswerBudget(10)) as transaction:
            await transaction.publish(uploads.prepared("job-e"), reservation.jobs_partition)

        with pytest.raises(Problem) as refusal:
            await replays.answer_to(REQUEST, AnswerBudget(10))
        assert (refusal.value.status, refusal.value.retry_after) == (409, 1)
        assert isinstance(await uploads.reservations.look_up(REQUEST), Abandoned)
        await other.abort_transaction()

    assert await replays.answer_to(REQUEST, AnswerBudget(10)) == Answered(reservation.answer, "job-e")


async def test_settling_looks_past_what_others_wrote_and_took_back(uploads):
    """Committed and aborted records of others between the stored offset and ours."""
    reservation = await uploads.reserved("job-f")
    for number in range(6):
        producer = AIOKafkaProducer(
            **kafka_options.producer_options(uploads.settings),
            transactional_id=f"{uploads.settings.topics.prefix}{number}",
        )
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(uploads.settings.topics.jobs, b"x", partition=reservation.jobs_partition)
        await (producer.commit_transaction() if number % 2 else producer.abort_transaction())
        await producer.stop()

    await uploads.recovery.settle(reservation, AnswerBudget(20))

    assert await uploads.reservations.look_up(REQUEST) == Free()


async def test_two_that_settle_at_once_find_the_same(uploads):
    """Two replicas, or a request and the sweeper."""
    reservation = await uploads.reserved("job-g")
    async with open_transaction(uploads.pool, "job-g", 2, AnswerBudget(10)) as transaction:
        await transaction.publish(uploads.prepared("job-g"), reservation.jobs_partition)

    outcomes = await asyncio.gather(
        *(uploads.recovery.settle(reservation, AnswerBudget(20)) for _ in range(3)), return_exceptions=True
    )

    assert all(outcome is None or isinstance(outcome, NotSettled | NotPublished) for outcome in outcomes)
    assert isinstance(await uploads.reservations.look_up(REQUEST), Answered)


async def test_the_sweeper_settles_what_nobody_asks_for(uploads):
    """A client that never comes back leaves nothing in progress."""
    await uploads.reserved("job-h")

    await uploads.recovery.sweep_once()

    assert await uploads.reservations.abandoned() == []


async def test_a_job_is_looked_for_where_it_was_written(uploads):
    """The partition is the one that Kafka's own rule gives to the key."""
    reservation = await uploads.reserved("job-i")
    async with open_transaction(uploads.pool, "job-i", 2, AnswerBudget(10)) as transaction:
        await transaction.publish(uploads.prepared("job-i"), reservation.jobs_partition)
    producer = AIOKafkaProducer(**kafka_options.producer_options(uploads.settings))
    await producer.start()
    await producer.send_and_wait(uploads.settings.topics.jobs, b"by Kafka's rule", key=b"job-i")
    await producer.stop()

    found = await records(uploads.settings, [uploads.settings.topics.jobs])

    assert len(found) == 2
    assert {record.partition for record in found} == {reservation.jobs_partition}
