"""Whether this process is of use, or only a restart can help: what `/health` answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiokafka.errors import KafkaError

from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings

#: Longer than any rebalance: from here on Kafka is asked whether it is there at all.
SILENT_SECONDS: Final = 60.0
#: A consumer that stays silent for so long although Kafka answers will not come back by itself.
STUCK_SECONDS: Final = 270.0
#: Health has to answer within 2 s.
ANSWER_SECONDS: Final = 1.5


class Liveness:
    """Watches consumers: each polls for ever, also when the group has no partition for it or all lanes are full.

    `last_polls` tells by name when each last came back from a poll (monotonic), None before its first. While Kafka is
    away nobody is stuck, however long that lasts: a restart would only begin the same wait again.
    """

    def __init__(
        self, last_polls: Mapping[str, Callable[[], float | None]], kafka_answers: Callable[[], Awaitable[bool]]
    ) -> None:
        self._last_polls = last_polls
        self._kafka_answers = kafka_answers
        self._connecting: dict[str, float] = {}
        #: Since when we know that Kafka answers while a consumer is silent.
        self._answers_since: float | None = None

    def connecting(self, name: str) -> None:
        """The consumer is being made, perhaps anew after it broke: that is a sign of life too."""
        self._connecting[name] = time.monotonic()

    async def check(self) -> None:
        """Raises when a consumer has given no sign for so long that only a restart can help."""
        silent = [name for name in self._last_polls if self._silent_seconds(name) > SILENT_SECONDS]
        if not silent or not await self._kafka_answers():
            self._answers_since = None
            return
        if self._answers_since is None:
            self._answers_since = time.monotonic()
        seconds = time.monotonic() - self._answers_since
        if seconds > STUCK_SECONDS:
            raise RuntimeError(f"Kafka has answered for {seconds:.0f} s, and still no poll of: {', '.join(silent)}")

    def _silent_seconds(self, name: str) -> float:
        signs = [sign for sign in (self._last_polls[name](), self._connecting.get(name)) if sign is not None]
        # Before the first connection Kafka or its topics are waited for.
        return time.monotonic() - max(signs) if signs else 0.0


async def kafka_answers(settings: KafkaSettings) -> bool:
    """Whether Kafka can be reached now."""
    client = kafka_options.admin_client(settings)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.start()
    except (KafkaError, TimeoutError, OSError):
        return False
    else:
        return True
    finally:
        await client.close()
