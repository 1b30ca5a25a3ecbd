"""Sends events: idempotent, acknowledged by all replicas in sync, and never for longer than the caller can wait."""

import asyncio
import contextlib
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import kafka
from shared.cloud_events import EventRecord, Headers, encode
from shared.events import Event
from shared.settings import KafkaSettings
from shared.telemetry import current_traceparent

log = structlog.get_logger(__name__)

_STOP_SECONDS: Final = 5.0


class KafkaUnavailable(Exception):
    """Nobody acknowledged the event. It may still be written later: send it again under the same event_id."""


class Publisher:
    """One producer, made when it is first needed, and made anew after any failure.

    An idempotent producer that has lost a record may never recover (aiokafka #1017).
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def send(self, topic: str, event: Event, timeout: float) -> None:
        """Returns when the event is acknowledged. Raises KafkaUnavailable after `timeout` seconds at most."""
        await self.send_record(topic, encode(event, "status", current_traceparent()), timeout)

    async def send_record(self, topic: str, record: EventRecord, timeout: float) -> None:
        """The same for a record that is encoded already."""
        await self.send_raw(topic, record.key, record.value, record.headers, timeout)

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, timeout: float
    ) -> None:
        """The same for a record of any kind."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(timeout):
                producer = await self._ready()
                # Cancelling a send does not stop its record: hence the deterministic ids.
                await producer.send_and_wait(topic, value, key, headers=headers)
        except (TimeoutError, KafkaError, OSError) as error:
            self._discard(producer)
            raise KafkaUnavailable(str(error) or type(error).__name__) from error

    async def warm_up(self) -> None:
        """Connects, so that the first event does not wait for it. Kafka may be away: the first event tries again."""
        with contextlib.suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._ready()

    async def close(self) -> None:
        """Stops the producer; waits a few seconds at most."""
        self._discard(self._producer)
        await asyncio.gather(*self._stopping)

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**kafka.producing(self._settings))
                try:
                    await producer.start()
                except BaseException:
                    self._stop_later(producer)
                    raise
                self._producer = producer
            return self._producer

    def _discard(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and self._producer is producer:
            self._producer = None
            self._stop_later(producer)

    def _stop_later(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.create_task(_stop(producer))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


async def _stop(producer: AIOKafkaProducer) -> None:
    # stop() waits for what was not delivered, for ever while the broker is down (aiokafka #1101).
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_STOP_SECONDS):
            await producer.stop()
