"""An installation with engines in this process, on a real broker and a sandbox directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition

from deploy.local.sandbox import Sandbox
from services.processor.engine import Engine
from services.processor.lane.transactions import LaneTransactions
from services.processor.settings import ProcessorSettings
from shared.contract.cloud_events import encode
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import create_missing_topics
from tests.support.processor.lane_doubles import accepted
from tests.support.topic_reader import TopicReader
from tests.support.until import until

TIMEOUT_SECONDS = 20.0


class Installation:
    """An installation with two lanes, its directory in this process."""

    def __init__(self, settings: ProcessorSettings, sandbox: Sandbox) -> None:
        self.settings, self.sandbox = settings, sandbox
        self.topics = settings.topics

    def another(self, **changes: object) -> ProcessorSettings:
        """The same settings for another processor."""
        return self.settings.model_copy(update={"instance_id": uuid4().hex, **changes})

    @asynccontextmanager
    async def processing(self, make_transactions=LaneTransactions, **changes: object):
        """An engine at work; ended cleanly."""
        engine = Engine(self.another(**changes), make_transactions=make_transactions)
        running = asyncio.create_task(engine.run())
        try:
            yield engine
        finally:
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled() or running.exception() is None, running.exception()

    async def owns(self, engine: Engine, *partitions: int) -> None:
        """Waits until an engine has taken over exactly these lanes."""
        await until(
            f"lanes {partitions}",
            lambda: (
                sorted(lane.partition for lane in engine.lane_consumer.running_lanes() if lane.reads) == [*partitions]
            ),
            TIMEOUT_SECONDS,
        )

    async def write(self, *events, topic: str | None = None, partition: int = 0, abort: bool = False) -> None:
        """Writes events in one transaction."""
        async with AIOKafkaProducer(
            **kafka_options.producer_options(self.settings), transactional_id=uuid4().hex
        ) as producer:
            await producer.begin_transaction()
            sends = [
                await producer.send(
                    topic or self.topics.rows_express, partition=partition, **encode(event, "t").fields()
                )
                for event in events
            ]
            await asyncio.gather(*sends)
            await (producer.abort_transaction() if abort else producer.commit_transaction())

    async def write_raw(self, key: bytes | None, value: bytes, headers=()) -> None:
        async with AIOKafkaProducer(**kafka_options.producer_options(self.settings)) as producer:
            await producer.send_and_wait(self.topics.rows_express, value, key, partition=0, headers=list(headers))

    async def results(self, count: int) -> list:
        """Waits for that many results."""
        async with TopicReader(self.settings, self.topics.results) as reader:
            await until(f"{count} results", lambda: _has(reader, count), TIMEOUT_SECONDS)
            await asyncio.sleep(0.2)
            return await reader.events()

    async def job_events(self, kind: type, count: int = 1) -> list:
        """Waits for that many events of a kind on the topic of jobs."""
        async with TopicReader(self.settings, self.topics.jobs) as reader:

            async def found() -> bool:
                return sum(isinstance(event, kind) for event in await reader.events()) >= count

            await until(f"{count} {kind.__name__}", found, TIMEOUT_SECONDS)
            return [event for event in await reader.events() if isinstance(event, kind)]

    async def commits(self) -> dict[TopicPartition, tuple[int, str]]:
        """What the group has committed: offset and metadata."""
        admin = kafka_options.admin_client(self.settings)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self.topics.group("processor"))
            return {where: (commit.offset, commit.metadata) for where, commit in found.items()}
        finally:
            await admin.close()


async def _has(reader: TopicReader, count: int) -> bool:
    return len(await reader.events()) >= count


@asynccontextmanager
async def running_installation(bootstrap: str, prefix: str, **changes: object) -> AsyncIterator[Installation]:
    """Short times: a call 1 s, settling 0.5 s, a lease 2 s."""
    async with Sandbox() as sandbox:
        settings = ProcessorSettings(
            **{
                "kafka_bootstrap_servers": bootstrap,
                "kafka_topic_prefix": prefix,
                "kafka_topic_partitions": 2,
                "kafka_replication_factor": 1,
                "hospital_api_base_url": sandbox.base_url,
                "hospital_api_timeout": 1,
                "hospital_api_settle_seconds": 0.5,
                "lease_seconds": 2,
                "session_timeout_ms": 6000,
                "rate_limit_requests": 0,
                "retry_min_wait": 0.1,
                "retry_max_wait": 0.2,
                "circuit_breaker_recovery_timeout": 0.3,
                **changes,
            }
        )
        await create_missing_topics(settings)
        yield Installation(settings, sandbox)


def rows(count: int, start: int = 2, **changes: object) -> list:
    """The events of that many rows."""
    return [accepted(row, **changes) for row in range(start, start + count)]
