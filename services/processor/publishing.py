"""Writes single events: idempotent, acknowledged by all replicas. Results of rows go through lanes' transactions."""

import asyncio
from typing import Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import kafka
from shared.cloud_events import encode
from shared.events import Event, ProcessorReported
from shared.patience import within
from shared.renewable import Renewable
from shared.settings import KafkaSettings

log = structlog.get_logger(__name__)

SEND_TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Publisher:
    """One producer for a process, started when it is first needed; an async context manager."""

    def __init__(self, settings: KafkaSettings, source: str) -> None:
        self._topics = settings.topics
        self._source = source
        self._producer = Renewable(lambda: AIOKafkaProducer(**kafka.producing(settings)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.close()

    async def publish(self, event: Event) -> None:
        """Returns when the event is on its topic. Raises KafkaError or TimeoutError: it may or may not be there."""
        try:
            await within(SEND_TIMEOUT_SECONDS, self._send(event))
        except (KafkaError, TimeoutError):
            self._producer.discard()
            raise

    async def publish_in_any_case(self, event: Event) -> None:
        """Returns when the event is on its topic, however long Kafka is away. It may then be there twice."""
        while True:
            try:
                return await self.publish(event)
            except (KafkaError, TimeoutError) as error:
                log.warning("event_not_written", event_id=event.event_id, reason=repr(error), next="again")
                await asyncio.sleep(RETRY_SECONDS)

    async def _send(self, event: Event) -> None:
        producer = await self._producer.ready()
        topic = self._topics.processors if isinstance(event, ProcessorReported) else self._topics.jobs
        await producer.send_and_wait(topic, **encode(event, self._source).fields())
