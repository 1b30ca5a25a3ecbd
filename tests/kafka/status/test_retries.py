"""The owner of a partition on a real broker: each retry once, whoever dies, freezes or is replaced in the middle."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalGenerationError, KafkaError, NoOffsetForPartitionError

from services.status.commands.retry_consumer import RetryConsumer
from services.status.commands.retry_partition import RetryPartition
from services.status.commands.retry_rows import ChunkLimits
from services.status.commands.retry_transactions import PURPOSE, RetryProgress, RetryTransactions
from services.status.projection.event_batch import EventBatch, PositionedEvent
from services.status.projection.transaction import project
from services.status.tables import stored_offsets
from services.status.tables.schema_version import migrate
from services.status.tables.stored_offsets import Step
from shared.contract.cloud_events import encode
from shared.contract.events import JobEvent, JobOutcome
from shared.runtime.databases import create_engine, database_url
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.fenced_transactions import Fenced
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from tests.support.former_member import of_the_generation_before
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.topic_reader import TopicReader
from tests.support.until import until

SECONDS = 40.0
ROWS = 300
CHUNK = 20
#: So that a retry takes many transactions.
SMALL_CHUNKS = ChunkLimits(rows=CHUNK, page=CHUNK)


class RetrySystem:
    """hospital.jobs with one partition, tables that a test fills, and owners that come and go."""

    def __init__(self, settings: KafkaSettings, engine) -> None:
        self.settings, self.engine = settings, engine
        self.topics = settings.topics
        self.make_transactions, self.make_partition, self.make_consumer = (
            RetryTransactions,
            RetryPartition,
            RetryConsumer,
        )

    @asynccontextmanager
    async def retry_consumer(self):
        """An owner at work; it is cut off at the end, wherever it is."""
        retry_consumer = self.make_consumer(
            self.settings,
            self.engine,
            partial(self.make_partition, limits=SMALL_CHUNKS, make_transactions=self.make_transactions),
        )
        running = asyncio.create_task(retry_consumer.run())
        try:
            yield retry_consumer
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def write(self, event: JobEvent) -> int:
        """Appends an event; returns where."""
        async with AIOKafkaProducer(**kafka_options.producer_options(self.settings)) as producer:
            written = await producer.send_and_wait(self.topics.jobs, **encode(event, "t").fields())
        return written.offset

    async def project(self, event: JobEvent, offset: int) -> None:
        """The projection has read it."""
        at = TopicPartition(self.topics.jobs, 0)
        async with self.engine.begin() as connection:
            await stored_offsets.begin(connection, {at: 0})
            before = (await stored_offsets.stored(connection, [at]))[at]
        step = Step(self.topics.jobs, 0, before, offset + 1)
        await project(self.engine, [step], EventBatch(job_events=[PositionedEvent(0, offset, event)]))

    async def project_all(self, *events: JobEvent) -> None:
        """Appends events and projects them."""
        for event in events:
            await self.project(event, await self.write(event))

    async def rows(self) -> Counter:
        """How often each row of each job stands on the topics of rows."""
        found: Counter = Counter()
        for topic in self.topics.rows:
            async with TopicReader(self.settings, topic) as reader:
                found.update((event.job_id, event.row, event.round) for event in await reader.events())
        return found

    async def has_rows(self, count: int) -> bool:
        return sum((await self.rows()).values()) >= count

    async def committed(self) -> tuple[int, str]:
        """Offset and metadata of the group."""
        admin = kafka_options.admin_client(self.settings)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self.topics.group(PURPOSE))
        except KafkaError:  # a fresh broker is still making its topic of offsets
            found = {}
        finally:
            await admin.close()
        [commit] = found.values() or [None]
        return (commit.offset, commit.metadata) if commit else (-1, "")

    async def is_done(self, offset: int) -> bool:
        return await self.committed() == (offset, "")


@pytest.fixture
async def system(kafka_bootstrap, topic_prefix, tmp_path):
    """On a topic of its own."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=1
    )
    await create_missing_topics(settings)
    engine = create_engine(database_url(f"sqlite:///{tmp_path}/status.db"))
    await migrate(engine)
    yield RetrySystem(settings, engine)
    await engine.dispose()


async def failed_job(system, rows=ROWS) -> JobHistory:
    """A job of which every row failed, and whose finish was projected."""
    job = JobHistory(total=rows, job_id=str(uuid4()))
    await apply_events(system.engine, job.accepted(), *(job.failed(row) for row in range(2, rows + 2)))
    await system.project_all(job.finished(JobOutcome.NONE_CREATED))
    return job


def once(job, rows=ROWS, round_=2):
    return Counter({(job.about["job_id"], row, round_): 1 for row in range(2, rows + 2)})


async def test_two_requests_for_a_round_write_its_rows_once(system):
    """And the owner's offset passes both, so that it shows no lag."""
    job = await failed_job(system)
    await system.project_all(job.retried(2), job.retried(2))
    async with system.retry_consumer():
        await until("both retries are done", lambda: system.is_done(3), SECONDS)
    assert await system.rows() == once(job)


class StopPoint:
    """Where in its second transaction an owner stops for ever: before it, in it, or after it."""

    def __init__(self) -> None:
        self.begin(None)

    def begin(self, where: str | None) -> None:
        self.where, self.transactions, self.stopped = where, 0, asyncio.Event()

    async def reached(self, where: str) -> None:
        if self.where == where and self.transactions == 2:
            self.stopped.set()
            await asyncio.Event().wait()


@pytest.fixture
def stop_point(system):
    """Owners' transactions stop there."""
    stop_point = StopPoint()

    class StoppableTransactions(RetryTransactions):
        async def commit(self, records, progress):
            stop_point.transactions += bool(records)
            await stop_point.reached("before")
            producer = self._transactions._producer
            commit = producer.commit_transaction

            async def commit_transaction():
                await stop_point.reached("in")
                await commit()

            producer.commit_transaction = commit_transaction
            await super().commit(records, progress)
            await stop_point.reached("after")

    system.make_transactions = StoppableTransactions
    return stop_point


async def test_an_owner_that_dies_in_the_middle_is_followed_by_one_that_goes_on_at_the_very_row(system, stop_point):
    """Wherever it is: before a transaction, in it, after it."""
    job = await failed_job(system)
    await system.project_all(job.retried(2))
    for where in ("after", "in", "before", "in", "after"):
        stop_point.begin(where)
        async with system.retry_consumer(), asyncio.timeout(SECONDS):
            await stop_point.stopped.wait()
        assert not await system.is_done(2)
    stop_point.begin(None)
    async with system.retry_consumer():
        await until("the retry is done", lambda: system.is_done(2), SECONDS)
    assert await system.rows() == once(job)


async def test_two_owners_share_one_round(system):
    """One of them has the partition; when it goes the other one goes on."""
    job = await failed_job(system)
    async with system.retry_consumer():
        async with system.retry_consumer():
            await system.project_all(job.retried(2))
            await until("some rows are written", lambda: system.has_rows(CHUNK), SECONDS)
        await until("the retry is done", lambda: system.is_done(2), SECONDS)
    assert await system.rows() == once(job)


async def test_nothing_is_written_before_the_projection_has_passed_the_request(system):
    """Else rows would be missing, or a second request could not be known from the first."""
    job = await failed_job(system, rows=3)
    retried = job.retried(2)
    offset = await system.write(retried)
    async with system.retry_consumer() as retry_consumer:
        await until("it has taken over", lambda: check_says(retry_consumer, "1 partitions"), SECONDS)
        await asyncio.sleep(1)
        assert not await system.rows()
        await system.project(retried, offset)
        await until("the retry is done", lambda: system.is_done(2), SECONDS)
    assert await system.rows() == once(job, rows=3)


async def check_says(retry_consumer, text) -> bool:
    return text in await retry_consumer.check()


async def test_a_request_that_makes_no_sense_is_passed_by(system):
    """Unknown jobs, rounds that are not the next: none of their rows is written; the next round is run."""
    job, other = await failed_job(system, rows=3), JobHistory(job_id="nobody")
    await system.project_all(other.retried(2), job.retried(7), job.retried(2))
    async with system.retry_consumer():
        await until("all requests are passed", lambda: system.is_done(4), SECONDS)
    assert await system.rows() == once(job, rows=3)


async def test_whoever_takes_over_fences_the_former_owner(system):
    """A frozen owner that thaws can write nothing more."""
    former, present = RetryTransactions(system.settings, 0), RetryTransactions(system.settings, 0)
    async with member(system) as consumer:
        assert await former.open(consumer) is None
        await former.commit([], RetryProgress(3, 40))
        assert await present.open(consumer) == RetryProgress(3, 40)
        with pytest.raises(Fenced):
            await former.commit([], RetryProgress(4))
        await present.commit([], RetryProgress(4))
        assert await system.committed() == (4, "")
    await former.close()
    await present.close()


async def test_a_former_member_fences_nobody(system):
    """It lost the partition and has not heard of it; its owner goes on."""
    owner, late = RetryTransactions(system.settings, 0), RetryTransactions(system.settings, 0)
    async with member(system) as consumer:
        await owner.open(consumer)
        with pytest.raises(IllegalGenerationError):
            await late.open(of_the_generation_before(consumer))
        await owner.commit([], RetryProgress(4))
        assert await late.open(consumer) == RetryProgress(4)
        with pytest.raises(Fenced):
            await owner.commit([], RetryProgress(5))
    await owner.close()
    await late.close()


@asynccontextmanager
async def member(system):
    """The only member of the group."""
    options = kafka_options.consumer_options(system.settings)
    async with Consumer(**options, group_id=system.topics.group(PURPOSE)) as consumer:
        consumer.subscribe([system.topics.jobs])
        while not consumer.assignment():
            with suppress(NoOffsetForPartitionError):
                await consumer.getmany(timeout_ms=100)
        yield consumer


async def test_a_rebalance_that_goes_wrong_makes_the_consumer_anew(system):
    """aiokafka only logs it: the partition would be ours for good, and nobody would read it."""

    class Clumsy(RetryConsumer):
        failures = 0

        def assign(self, assigned):
            if not self.failures:
                self.failures += 1
                raise RuntimeError("a bug")
            super().assign(assigned)

    job = await failed_job(system, rows=3)
    await system.project_all(job.retried(2))
    system.make_consumer = Clumsy
    async with system.retry_consumer() as retry_consumer:
        await until("the retry is done", lambda: system.is_done(2), SECONDS)
    assert retry_consumer.failures == 1
    assert await system.rows() == once(job, rows=3)


async def test_a_rebalance_in_the_middle_of_a_takeover_makes_it_void(system):
    """Somebody else may have owned the partition in between: what was read before is not where it goes on."""
    started = []

    class Interrupted(RetryPartition):
        count = 0

        async def take_over(self, consumer):
            progress = await super().take_over(consumer)
            Interrupted.count += 1
            self.number = Interrupted.count
            if self.number == 1:  # it gets the same partition again
                await retry_consumer.on_partitions_revoked(consumer.assignment())
                await retry_consumer.on_partitions_assigned(consumer.assignment())
            return progress

        def start(self, progress):
            started.append(self.number)
            super().start(progress)

    job = await failed_job(system, rows=3)
    await system.project_all(job.retried(2))
    system.make_partition = Interrupted
    async with system.retry_consumer() as retry_consumer:
        await until("the retry is done", lambda: system.is_done(2), SECONDS)
    assert started == [2]
    assert await system.rows() == once(job, rows=3)
