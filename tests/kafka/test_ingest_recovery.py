"""Uploads that broke off: whatever is found, one key makes one job."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer

from services.ingest.csv_file.validation import Rules
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.prepared_job import PreparedJob, prepare
from services.ingest.keys import replay
from services.ingest.keys.database import Database
from services.ingest.keys.recovery import NotSettled, Settling
from services.ingest.keys.replay import KeyHolder
from services.ingest.keys.reservations import Abandoned, Answered, Free, KeyedRequest, Reservation, Reservations
from services.ingest.keys.schema_version import migrate
from services.ingest.publication.connection_pool import Connections
from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown, open_publication
from services.ingest.publication.jobs_topic import JobsLog
from shared.contract.events import now
from shared.runtime import kafka_options
from shared.runtime.databases import create_engine, database_url
from shared.runtime.problems import Problem
from shared.runtime.topic_admin import create_missing_topics
from tests.support.ingest.ingest_server import CSV, settings
from tests.support.ingest.published_jobs import jobs
from tests.support.ingest.written_csv import written

REQUEST = KeyedRequest("north", "key-1", "abc:False")


class Desk:
    """Everything that settles, and uploads that go as far as a test wants."""

    def __init__(self, settings_, held, directory):
        self.settings = settings_
        self.held = held
        self.jobs = JobsLog(settings_)
        self.connections = Connections(settings_)
        self.settling = Settling(self.connections, held, self.jobs)
        self.key_holder = KeyHolder(held, self.settling)
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
        assert await self.held.reserve(reservation)
        await self.held.abandon(job_id)
        return reservation


@pytest.fixture
async def desk(tmp_path, kafka_bootstrap, topic_prefix):
    """A desk with a database and topics of its own."""
    where = settings(tmp_path, kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix)
    await create_missing_topics(where)
    engine = create_engine(database_url(where.ingest_database_url))
    await migrate(engine)
    desk = Desk(where, Reservations(Database(engine), 300), tmp_path)
    yield desk
    desk.connections.close()
    await engine.dispose()


async def test_a_job_that_was_committed_is_found_and_accepted(desk):
    """The process died after the commit, or its answer was lost."""
    reservation = await desk.reserved("job-a")
    async with open_publication(desk.connections, "job-a", 2, 10) as publication:
        await publication.publish(desk.prepared("job-a"), reservation.jobs_partition)

    answered = await desk.key_holder.answer_to(REQUEST)

    assert answered == Answered(reservation.answer, "job-a")
    assert len(await desk.held.same_files("north", reservation.file_sha256)) == 1


async def test_a_job_that_was_never_written_frees_its_key(desk):
    """The process died before the first record."""
    await desk.reserved("job-b")

    assert await desk.key_holder.answer_to(REQUEST) is None
    assert await desk.held.look_up(REQUEST) == Free()


async def test_a_half_written_job_is_cut_off_and_frees_its_key(desk):
    """The frozen owner wakes up afterwards, and can neither write nor commit."""
    reservation = await desk.reserved("job-c")
    async with open_publication(desk.connections, "job-c", 2, 10) as publication:
        job = desk.prepared("job-c")
        await publication._write(job, reservation.jobs_partition)

        await desk.settling.settle(reservation, 20)

        assert await desk.held.look_up(REQUEST) == Free()
        with pytest.raises((OutcomeUnknown, NotPublished)):
            await publication._commit()
    assert await jobs(desk.settings) == {}


async def test_an_owner_that_wakes_up_before_its_first_record_is_cut_off_too(desk):
    """Its producer was started before the reservation: so whoever settles comes later, and fences it."""
    async with open_publication(desk.connections, "job-d", 2, 10) as publication:
        reservation = await desk.reserved("job-d")

        await desk.settling.settle(reservation, 20)

        with pytest.raises((OutcomeUnknown, NotPublished)):
            await publication.publish(desk.prepared("job-d"), reservation.jobs_partition)
    assert await jobs(desk.settings) == {}


async def test_another_upload_s_open_transaction_does_not_hide_the_job(desk, monkeypatch):
    """Until it ends nobody can tell, so the key stays in progress; then the job is found."""
    monkeypatch.setattr(replay, "_SETTLING_SECONDS", 3.0)
    reservation = await desk.reserved("job-e")
    async with AsyncExitStack() as stack:
        other = AIOKafkaProducer(
            **kafka_options.producer_options(desk.settings), transactional_id=f"{desk.settings.topics.prefix}other"
        )
        await other.start()
        stack.push_async_callback(other.stop)
        await other.begin_transaction()
        await other.send_and_wait(desk.settings.topics.jobs, b"x", partition=reservation.jobs_partition)
        async with open_publication(desk.connections, "job-e", 2, 10) as publication:
            await publication.publish(desk.prepared("job-e"), reservation.jobs_partition)

        with pytest.raises(Problem) as refusal:
            await desk.key_holder.answer_to(REQUEST)
        assert (refusal.value.status, refusal.value.retry_after) == (409, 1)
        assert isinstance(await desk.held.look_up(REQUEST), Abandoned)
        await other.abort_transaction()

    assert await desk.key_holder.answer_to(REQUEST) == Answered(reservation.answer, "job-e")


async def test_settling_looks_past_what_others_wrote_and_took_back(desk):
    """Committed and aborted records of others between the stored offset and ours."""
    reservation = await desk.reserved("job-f")
    for number in range(6):
        producer = AIOKafkaProducer(
            **kafka_options.producer_options(desk.settings), transactional_id=f"{desk.settings.topics.prefix}{number}"
        )
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(desk.settings.topics.jobs, b"x", partition=reservation.jobs_partition)
        await (producer.commit_transaction() if number % 2 else producer.abort_transaction())
        await producer.stop()

    await desk.settling.settle(reservation, 20)

    assert await desk.held.look_up(REQUEST) == Free()


async def test_two_that_settle_at_once_find_the_same(desk):
    """Two replicas, or a request and the sweeper."""
    reservation = await desk.reserved("job-g")
    async with open_publication(desk.connections, "job-g", 2, 10) as publication:
        await publication.publish(desk.prepared("job-g"), reservation.jobs_partition)

    outcomes = await asyncio.gather(*(desk.settling.settle(reservation, 20) for _ in range(3)), return_exceptions=True)

    assert all(outcome is None or isinstance(outcome, NotSettled | NotPublished) for outcome in outcomes)
    assert isinstance(await desk.held.look_up(REQUEST), Answered)


async def test_the_sweeper_settles_what_nobody_asks_for(desk):
    """A client that never comes back leaves nothing in progress."""
    await desk.reserved("job-h")

    await desk.settling.sweep_once()

    assert await desk.held.abandoned() == []


async def test_a_job_is_looked_for_where_it_was_written(desk):
    """The partition is the one that Kafka's own rule gives to the key."""
    from tests.support.ingest.published_jobs import records

    reservation = await desk.reserved("job-i")
    async with open_publication(desk.connections, "job-i", 2, 10) as publication:
        await publication.publish(desk.prepared("job-i"), reservation.jobs_partition)
    producer = AIOKafkaProducer(**kafka_options.producer_options(desk.settings))
    await producer.start()
    await producer.send_and_wait(desk.settings.topics.jobs, b"by Kafka's rule", key=b"job-i")
    await producer.stop()

    found = await records(desk.settings, [desk.settings.topics.jobs])

    assert len(found) == 2
    assert {record.partition for record in found} == {reservation.jobs_partition}
