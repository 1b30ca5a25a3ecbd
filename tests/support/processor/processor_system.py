"""Processors in processes that can be killed or frozen, with a real broker and a sandbox directory that counts."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self
from uuid import uuid4

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.contract.cloud_events import Headers, encode
from shared.contract.events import Event, JobAccepted, RowOutcome
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from tests.support.forked import Forked
from tests.support.processor.jobs import Job
from tests.support.processor.processor_process import Processor
from tests.support.topic_reader import TopicReader
from tests.support.until import until

FAST_SETTINGS = {
    "RATE_LIMIT_REQUESTS": "0",
    "LEASE_SECONDS": "2",
    "HOSPITAL_API_TIMEOUT": "2",
    "HOSPITAL_API_SETTLE_SECONDS": "2",
    "SESSION_TIMEOUT_MS": "6000",
    "RETRY_MIN_WAIT": "0.2",
    "RETRY_MAX_WAIT": "1",
    "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "2",
}


class ProcessorSystem:
    """Everything around the processors of one test. `directory_url`: a sandbox that runs; else one is started."""

    def __init__(
        self, bootstrap: str, prefix: str, folder: Path, *, directory_url: str = "", **environment: str
    ) -> None:
        self.environment = {
            **FAST_SETTINGS,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_TOPIC_PREFIX": prefix,
            "HTTP_PORT": "0",
            "LOG_LEVEL": "INFO",
            **environment,
        }
        self.settings = KafkaSettings(
            kafka_bootstrap_servers=bootstrap,
            kafka_topic_prefix=prefix,
            kafka_topic_partitions=int(self.environment.get("KAFKA_TOPIC_PARTITIONS", "6")),
            kafka_replication_factor=int(self.environment.get("KAFKA_REPLICATION_FACTOR", "1")),
        )
        self.topics = self.settings.topics
        self.directory_url = directory_url
        self.processors: list[Processor] = []
        self._folder = folder
        self._stack = AsyncExitStack()
        self._started = 0
        self._commands = 0
        self._readers: dict[str, TopicReader] = {}

    async def __aenter__(self) -> Self:
        await create_missing_topics(self.settings)
        await self._stack.__aenter__()
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        if not self.directory_url:
            self.directory_url = await self._start_directory()
        return self

    async def _start_directory(self) -> str:
        log = self._folder / "directory.log"
        directory = Forked("deploy.local.sandbox", environment=os.environ | {"SANDBOX_PORT": "0"}, log=log)
        self._stack.callback(directory.kill)
        await until("the directory listens", lambda: "\n" in log.read_text(), 20)
        return log.read_text().split(" on ")[1].split()[0]

    async def __aexit__(self, *_: object) -> None:
        for processor in self.processors:
            await processor.die()
        await self._stack.aclose()

    # ---- the directory -----------------------------------------------------------------------------------------------

    async def inject(self, **faults: object) -> None:
        """Changes the directory's faults."""
        async with self._session.patch(f"{self.directory_url}/admin/faults", json=faults) as answer:
            answer.raise_for_status()

    async def admin(self, path: str) -> dict:
        async with self._session.get(f"{self.directory_url}/admin/{path}") as answer:
            answer.raise_for_status()
            return await answer.json()

    async def reset(self) -> None:
        """No hospitals and no counts; the faults stay."""
        faults = await self.admin("faults")
        async with self._session.post(f"{self.directory_url}/admin/reset") as answer:
            answer.raise_for_status()
        await self.inject(**faults)

    async def log(self, kind: str) -> list[dict]:
        """The directory's log of `requests` or `creates`, oldest first; times (`wall`) in seconds."""
        page = await self.admin(f"{kind}?limit=200000")
        return [dict(zip(page["fields"], entry, strict=True)) for entry in page["entries"]]

    # ---- processors --------------------------------------------------------------------------------------------------

    async def start_processor(self, *, module: str = "services.processor", **environment: str) -> Processor:
        """One more processor; it is starting when this returns. `module`: another program that behaves as one."""
        self._started += 1
        log = self._folder / f"processor-{self._started}.log"
        surroundings = {**os.environ, **self.environment, "HOSPITAL_API_BASE_URL": self.directory_url, **environment}
        process = Forked(module, environment=surroundings, log=log)
        processor = Processor(process, log)
        self.processors.append(processor)
        return processor

    async def start_processors(self, count: int, **environment: str) -> list[Processor]:
        """That many more processors; every lane has an owner when this returns."""
        started = [await self.start_processor(**environment) for _ in range(count)]
        await self.settled()
        return started

    async def settled(self, seconds: float = 40) -> None:
        """Waits until every living processor has lanes, and every lane one owner that has taken it over."""
        everything = list(range(self.settings.kafka_topic_partitions))
        alive = [each for each in self.processors if each.alive]

        def is_settled() -> bool:
            lanes = [each.lanes() for each in alive]
            return all(lanes) and sorted(index for each in lanes for index in each) == everything

        await until("every lane has one owner", is_settled, seconds)

    async def run_command(self, *arguments: str, status: int = 0) -> str:
        """Runs `python -m services.processor ARGUMENTS` as an operator does; returns what it has written."""
        self._commands += 1
        log = self._folder / f"command-{self._commands}.log"
        process = Forked("services.processor", *arguments, environment={**os.environ, **self.environment}, log=log)
        returned = await process.ended()
        assert returned == status, f"{arguments} ended with {returned}: {log.read_text()}"
        return log.read_text()

    async def stop_processors(self) -> None:
        """Asks all that live to stop, and waits for it."""
        await asyncio.gather(*(each.stop() for each in self.processors if each.alive))

    # ---- Kafka -------------------------------------------------------------------------------------------------------

    async def publish(self, job: Job, *, express: bool = True) -> None:
        """Writes a job as ingest does: in one transaction, JobAccepted last."""
        accepted = JobAccepted(
            tenant="public",
            job_id=job.job_id,
            file_name="hospitals.csv",
            file_sha256="0" * 64,
            total_hospitals=len(job.rows),
            batch_ids=tuple(job.batch_ids),
            columns=("name", "address", "phone"),
            express=express,
        )
        topic = self.topics.rows_express if express else self.topics.rows_bulk
        await self.write([(topic, row) for row in job.rows] + [(self.topics.jobs, accepted)])

    async def write_raw(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Writes one record as it is, decodable or not."""
        async with AIOKafkaProducer(**kafka_options.producer_options(self.settings)) as producer:
            await producer.send_and_wait(topic, key=key, value=value, headers=headers)

    async def write(self, events: list[tuple[str, Event]], *, abort: bool = False) -> None:
        """Writes events in one transaction."""
        producer = AIOKafkaProducer(**kafka_options.producer_options(self.settings), transactional_id=str(uuid4()))
        await producer.start()
        try:
            await producer.begin_transaction()
            sends = [await producer.send(topic, **encode(event, "test").fields()) for topic, event in events]
            for send in sends:
                await send
            await (producer.abort_transaction() if abort else producer.commit_transaction())
        finally:
            await producer.stop()

    async def results(self) -> list[RowOutcome]:
        """All results that a read_committed reader sees now."""
        return list(await self.events(self.topics.results))

    async def events(self, topic: str) -> list[Event]:
        """All events of a topic that a read_committed reader sees now."""
        return await (await self.reader(topic)).events()

    async def reader(self, topic: str) -> TopicReader:
        """The one reader of a topic."""
        if topic not in self._readers:
            reader = TopicReader(self.settings, topic)
            self._readers[topic] = await self._stack.enter_async_context(reader)
        return self._readers[topic]

    async def wait_for_results(self, count: int, seconds: float) -> list[RowOutcome]:
        """Waits until that many results are visible; fails with what there is when they are not."""
        began = time.monotonic()
        found: list[RowOutcome] = []
        while len(found) < count:
            if time.monotonic() - began > seconds:
                kinds = Counter(type(result).__name__ for result in found)
                raise AssertionError(f"{len(found)} of {count} results after {seconds} s: {dict(kinds)}")
            await asyncio.sleep(0.1)
            with contextlib.suppress(KafkaError):  # the broker is away: it is asked again
                found = await self.results()
        return found
