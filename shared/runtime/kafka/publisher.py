"""Sends events: idempotent, acknowledged by all replicas in sync, and never for longer than the caller can wait."""

import contextlib
from typing import Final, Self

from shared.contract.cloud_events import Headers, encode
from shared.contract.events import Event
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Producer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.reconnecting_client import ReconnectingClient
from shared.runtime.settings import KafkaSettings
from shared.runtime.telemetry import current_traceparent
from shared.runtime.timeouts import run_with_timeout

_WARM_UP_SECONDS: Final = 5.0


class KafkaUnavailable(Exception):
    """Nobody acknowledged the event. It may still be written later: send it again under the same event_id."""


class Publisher:
    """Writes the events of one service (`source`) with one producer at a time, started when it is first needed.

    An async context manager: it is closed at its end.
    """

    def __init__(self, settings: KafkaSettings, source: str) -> None:
        self._source = source
        self._producer = ReconnectingClient(lambda: Producer(**kafka_options.producer_options(settings)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, topic: str, event: Event, timeout: float) -> None:
        """Returns when the event is acknowledged. Raises KafkaUnavailable after `timeout` seconds at most."""
        record = encode(event, self._source, current_traceparent())
        await self.send_raw(topic, record.key, record.value, record.headers, timeout)

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, timeout: float
    ) -> None:
        """The same for a record of any kind."""
        try:
            await run_with_timeout(timeout, self._send(topic, key, value, headers))
        except KAFKA_FAILURES as error:
            self._producer.discard()
            raise KafkaUnavailable(str(error) or type(error).__name__) from error

    async def warm_up(self) -> None:
        """Connects, so that the first event does not wait for it. Kafka may be away: the first event tries again."""
        with contextlib.suppress(*KAFKA_FAILURES):
            await run_with_timeout(_WARM_UP_SECONDS, self._producer.ready())

    async def close(self) -> None:
        """Disconnects; waits a few seconds at most."""
        await self._producer.close()

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        producer = await self._producer.ready()
        # Cancelling a send does not stop its record: hence the deterministic ids.
        await producer.send_and_wait(topic, value, key, headers=headers)
