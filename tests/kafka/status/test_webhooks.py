"""Webhooks on a real broker: dead receivers, restarts and kills; each receiver checks every signature."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.status.queries.read_database import ReadDatabase
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.schema_version import migrate
from services.status.webhooks.deliveries import Deliveries
from services.status.webhooks.job_ends import JobEnds
from services.status.webhooks.job_statuses import JobStatuses
from services.status.webhooks.receiver import HttpReceiver
from services.status.webhooks.webhook_consumer import PURPOSE, WebhookConsumer
from shared.contract.cloud_events import encode
from shared.contract.events import JobOutcome, now
from shared.runtime.databases import create_engine, database_url
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.group_offsets import GroupOffsets
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_service import StatusService
from tests.support.status.webhook_doubles import KEY, SECRET, FakeDeadLetters, real_receiver
from tests.support.until import until


async def commits(settings: KafkaSettings) -> dict[TopicPartition, tuple[int, str]]:
    """Offset and metadata of each partition for which the group has committed something."""
    topics = settings.topics
    partitions = [TopicPartition(topics.jobs, number) for number in range(topics.partitions)]
    try:
        async with GroupOffsets(settings) as offsets:
            found = await offsets.read(topics.group(PURPOSE), partitions)
    except KafkaError:  # a fresh broker is still making its topic of offsets
        return {}
    return {at: (commit.offset, commit.metadata) for at, commit in found.items()}


class WebhookSystem:
    """hospital.jobs, tables, and a receiver for each of two tenants; consumers that come and go."""

    def __init__(self, settings: KafkaSettings, engine, receiver) -> None:
        self.settings, self.engine, self.receiver = settings, engine, receiver
        self.addresses = {tenant: (f"{receiver.url}/{tenant}",) for tenant in ("north", "south")}

    async def finish(self, tenant: str) -> str:
        """A job of the tenant has failed. Returns its id."""
        job = JobHistory(total=1, tenant=tenant, job_id=str(uuid4()))
        end = job.finished(JobOutcome.NONE_CREATED).model_copy(update={"occurred_at": now()})
        await apply_events(self.engine, job.accepted(), job.failed(2), end)
        async with AIOKafkaProducer(**kafka_options.producer_options(self.settings)) as producer:
            await producer.send_and_wait(self.settings.topics.jobs, **encode(end, "status").fields())
        return end.job_id

    @asynccontextmanager
    async def consumer(self):
        """A replica at work. Its retries are quick."""
        database, receiver = ReadDatabase(self.engine), HttpReceiver()
        ends = JobEnds(database, ChangeSignal(), now, poll_seconds=0.1)
        deliveries = Deliveries(
            self.addresses,
            KEY,
            JobStatuses(database, now),
            ends,
            receiver,
            FakeDeadLetters(),
            now,
            lambda _: asyncio.sleep(0.2),
        )
        consumer = WebhookConsumer(self.settings, deliveries)
        running = [asyncio.create_task(consumer.run()), asyncio.create_task(ends.run())]
        try:
            yield consumer
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await receiver.close()

    async def committed(self) -> tuple[int, str] | None:
        """Offset and metadata of the group."""
        return next(iter((await commits(self.settings)).values()), None)

    async def begun(self) -> bool:
        """Whether a new group has said where it begins."""
        return await self.committed() is not None

    def took(self, *job_ids: str) -> bool:
        return {f"{job_id}:JobFinished:1" for job_id in job_ids} <= set(self.receiver.ids)


@pytest.fixture
async def system(kafka_bootstrap, topic_prefix, tmp_path):
    """On a topic of its own with one partition."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=1
    )
    await create_missing_topics(settings)
    engine = create_engine(database_url(f"sqlite:///{tmp_path}/status.db"))
    await migrate(engine)
    async with real_receiver() as receiver:
        yield WebhookSystem(settings, engine, receiver)
    await engine.dispose()


async def test_a_dead_receiver_holds_up_nobody_and_gets_what_it_missed_after_a_restart(system):
    """What others have taken is not posted to them again; the old jobs of a new group to nobody."""
    old = await system.finish("south")
    system.receiver.status["/north"] = 503
    async with system.consumer():
        await until("the group has begun", system.begun, 60)
        missed = await system.finish("north")
        taken = [await system.finish("south") for _ in range(3)]
        await until("the others were told", lambda: system.took(*taken), 30)
        await until("the dead one was tried again", lambda: system.receiver.asked.count("/north") >= 3, 30)
        before = await system.committed()
    assert before[0] <= 1, "not past the message that nobody took"
    system.receiver.status.clear()
    async with system.consumer():
        await until("it got what it had missed", lambda: system.took(missed), 60)

        async def all_committed() -> bool:
            return await system.committed() == (5, "")

        await until("everything is committed", all_committed, 30)
    assert sorted(system.receiver.ids) == sorted(f"{job_id}:JobFinished:1" for job_id in [missed, *taken])
    assert not system.took(old)
    assert {message["data"]["status"] for message in system.receiver.taken} == {"failed"}


async def test_the_service_tells_who_waits_also_after_it_was_killed(kafka_bootstrap, topic_prefix, tmp_path, free_port):
    """The whole process, with the real delays: killed while its receiver is away, it tries again at once."""
    settings = KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=2
    )
    async with real_receiver() as receiver:
        receiver.status["/hook"] = 503
        webhooks = {"WEBHOOKS": f"north={receiver.url}/hook", "WEBHOOK_SECRET": SECRET}
        url, log = f"sqlite:///{tmp_path}/status.db", tmp_path / "status.log"
        async with StatusService(settings, url, free_port, log, **webhooks) as service:
            await service.ready()

            async def begun() -> bool:
                return len(await commits(settings)) == 2

            await until("the group has begun", begun, 60)
            job = JobHistory(total=1)
            await service.write(job.accepted(), job.failed(2))
            # The second try is 5 s later: offsets have been committed since the first.
            await until("it was tried", lambda: len(receiver.asked) >= 2, 60)
            await service.kill()
            receiver.status.clear()
            await service.start()
            await until("it was told", lambda: receiver.ids, 60)
    [message] = receiver.taken
    assert message["data"] | {"job_id": "job-1", "status": "failed", "failed_hospitals": 1} == message["data"]
