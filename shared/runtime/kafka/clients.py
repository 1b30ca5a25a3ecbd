"""The producers, consumers and admin clients of all programs: aiokafka's, whose end never hangs and never fails.

Within a few seconds no task and no socket of them is left, whatever state they and the broker are in.
"""

from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shared.runtime.kafka.closing import STOP_SECONDS, end_client, end_consumer, end_producer, stop_client
from shared.runtime.kafka.quiet_failures import expect_failed_commits, expect_failures


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """A producer. What fails of it while nobody waits for it is not complained of."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        expect_failures(self)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Waits for so many seconds until everything is sent, then gives up what was not."""
        await stop_client(super().stop, seconds, partial(end_producer, self))


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer. What fails of it while nobody waits for it is not complained of."""

    async def start(self) -> None:
        """Connects."""
        await super().start()
        expect_failed_commits(self)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Leaves the group, if Kafka answers within so many seconds."""
        await stop_client(super().stop, seconds, partial(end_consumer, self))


class AdminClient(AIOKafkaAdminClient):  # type: ignore[misc]  # aiokafka has no types
    """An admin client."""

    async def close(self, seconds: float = STOP_SECONDS) -> None:
        """Closes the connections."""
        await stop_client(super().close, seconds, partial(end_client, self._client))
