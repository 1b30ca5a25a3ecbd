"""A real status service on a real broker, and a producer for the events of ingest and the processors."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.contract.cloud_events import decode, encode
from shared.contract.events import Event
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import wait_for_topics
from shared.runtime.settings import KafkaSettings
from tests.support.forked import Forked

API = "/api/v1/hospitals"


class StatusService:
    """`python -m services.status` as a process that can be killed and started again on the same tables."""

    def __init__(self, settings: KafkaSettings, database_url: str, port: int, log: Path, **environment: str) -> None:
        self.settings = settings
        self.topics = settings.topics
        self._port = port
        self._log = log
        self._environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
            "KAFKA_TOPIC_PARTITIONS": str(settings.kafka_topic_partitions),
            "STATUS_DATABASE_URL": database_url,
            "HTTP_PORT": str(port),
            # The events are of a day long ago.
            "JOB_RETENTION_DAYS": "36500",
            **environment,
        }
        self._process: Forked | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.http = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", timeout=30)
        )
        await wait_for_topics(self.settings)
        self.producer = await self._stack.enter_async_context(
            AIOKafkaProducer(**kafka_options.producer_options(self.settings))
        )
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        await self._stack.aclose()

    async def run(self, *arguments: str) -> int:
        """Runs a command of the service to its end, and returns its exit status."""
        return await self._launch(*arguments).ended()

    async def start(self) -> None:
        """Starts the process; it may not be ready yet."""
        self._process = self._launch()

    def _launch(self, *arguments: str) -> Forked:
        return Forked("services.status", *arguments, environment=self._environment, log=self._log)

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """Ends the process as a power cut would."""
        if self._process:
            self._process.kill()
            await self._process.ended()

    async def stop(self) -> int:
        """Asks it to end, waits for that, and returns its exit status."""
        assert self._process
        self._process.terminate()
        return await self._process.ended()

    async def write(self, *events: Event) -> None:
        """Writes the events to the topics where they belong, and waits until they are there."""
        futures = [await self.producer.send(self.topic_of(event), **encode(event, "test").fields()) for event in events]
        await asyncio.gather(*futures)

    def topic_of(self, event: Event) -> str:
        """Where an event belongs."""
        match type(event).__name__:
            case "RowCreated" | "RowFailed" | "RowUnprocessed":
                return self.topics.results
            case "ProcessorReported":
                return self.topics.processors
            case _:
                return self.topics.jobs

    async def read(self, topic: str) -> list[Event]:
        """All events that the topic holds for a read_committed reader."""
        return [decode(record.headers, record.value) for record in await self.records(topic)]

    async def records(self, topic: str) -> list[object]:
        """The same, as records."""
        found = []
        async with AIOKafkaConsumer(**kafka_options.consumer_options(self.settings)) as consumer:
            partitions = [TopicPartition(topic, number) for number in await _numbers(consumer, topic)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, 0)
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        return found

    async def ready(self) -> None:
        """Returns when the service says that it is ready."""

        async def is_ready() -> bool:
            return (await self.http.get("/health/ready")).status_code == 200

        await eventually(is_ready)

    async def status(self, job_id: str) -> dict[str, object]:
        """The job as it is now; {} while it cannot be had."""
        answer = await self.http.get(f"{API}/status/{job_id}")
        return answer.json() if answer.status_code == 200 else {}

    async def shows(self, job_id: str, **expected: object) -> dict[str, object]:
        """Waits until the job's status has these fields."""
        answer: dict[str, object] = {}

        async def does() -> bool:
            answer.update(await self.status(job_id))
            return expected.items() <= answer.items()

        try:
            await eventually(does)
        except TimeoutError:
            raise AssertionError(f"never had {expected}, but {answer}; log: {self._log.read_text()[-4000:]}") from None
        return answer


async def _numbers(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.add_topic(topic)  # partitions_for_topic knows only what was asked for
    return sorted(consumer.partitions_for_topic(topic))


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 45) -> None:
    """Asks until it holds. Raises TimeoutError after `seconds`; a service that is not up yet is asked again."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await holds():
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
