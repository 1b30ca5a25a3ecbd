"""Writes single events: idempotent, acknowledged by all replicas. Results of rows go through lanes' transactions."""

import asyncio
from typing import Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import kafka
from shared.cloud_events import encode
from shared.events import Event, ProcessorReported
from shared.settings import KafkaSettings

log = structlog.get_logger(__name__)

SEND_TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Publisher:
    """One producer for a process, started when it is first needed; an async context manager."""

    def __init__(self, settings: KafkaSettings, source: str) -> None:
        self._settings = settings
        self._source = source
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop(self._producer)

    async def publish(self, event: Event) -> None:
        """Returns when the event is on its topic. Raises KafkaError or TimeoutError: it may or may not be there."""
        topics = self._settings.topics
        topic = topics.processors if isinstance(event, ProcessorReported) else topics.jobs
        producer = None
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                producer = await self._started()
                await producer.send_and_wait(topic, **encode(event, self._source).fields())
        except (KafkaError, TimeoutError):
            await self._drop(producer)  # one that failed may never recover
            raise

    async def publish_in_any_case(self, event: Event) -> None:
        """Returns when the event is on its topic, however long Kafka is away. It may then be there twice."""
        while True:
            try:
                return await self.publish(event)
            except (KafkaError, TimeoutError) as error:
                log.warning("event_not_written", event_id=event.event_id, reason=repr(error), next="again")
                await asyncio.sleep(RETRY_SECONDS)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._start()
            return self._producer

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**kafka.producing(self._settings))
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _drop(self, producer: AIOKafkaProducer | None) -> None:
        if producer is None:
            return
        if producer == self._producer:
            self._producer = None
        try:
            async with asyncio.timeout(1.0):
                await producer.stop()
        except (KafkaError, TimeoutError):
            return
