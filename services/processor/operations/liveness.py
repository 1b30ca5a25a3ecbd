"""Whether this process is alive, or needs a restart: what `/health` answers."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

#: Longer than any rebalance. If no poll has returned for so long, Kafka is asked whether it answers at all.
SILENT_SECONDS: Final = 60.0
#: If a consumer has polled nothing for so long although Kafka answers, only a restart can help.
STUCK_SECONDS: Final = 270.0
#: Health has to answer within 2 s.
ANSWER_SECONDS: Final = 1.5


class Liveness:
    """Watches the consumers. Each of them polls all the time, also without partitions, and when all lanes are full.

    `last_polls` tells by name when each consumer's last poll returned (monotonic), None before the first. While Kafka
    is away no consumer counts as stuck: a restart would not help.
    """

    def __init__(
        self,
        last_polls: Mapping[str, Callable[[], float | None]],
        kafka_answers: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._last_polls = last_polls
        self._kafka_answers = kafka_answers
        self._clock = clock
        self._connecting: dict[str, float] = {}
        #: Since when Kafka has answered while a consumer was silent.
        self._answers_since: float | None = None

    def connecting(self, name: str) -> None:
        """The consumer is being made, or made anew after an error. That counts like a poll."""
        self._connecting[name] = self._clock()

    async def check(self) -> None:
        """Raises RuntimeError when a consumer has not polled for so long that only a restart can help."""
        silent = [name for name in self._last_polls if self._silent_seconds(name) > SILENT_SECONDS]
        if not silent or not await self._kafka_answers():
            self._answers_since = None
            return
        if self._answers_since is None:
            self._answers_since = self._clock()
        seconds = self._clock() - self._answers_since
        if seconds > STUCK_SECONDS:
            raise RuntimeError(f"Kafka has answered for {seconds:.0f} s, and still no poll of: {', '.join(silent)}")

    def _silent_seconds(self, name: str) -> float:
        times = [at for at in (self._last_polls[name](), self._connecting.get(name)) if at is not None]
        # Before the first connection the process waits for Kafka or its topics.
        return self._clock() - max(times) if times else 0.0


async def kafka_answers(settings: KafkaSettings) -> bool:
    """Whether Kafka can be reached now."""
    client = kafka_options.admin_client(settings)
    try:
        await run_with_timeout(ANSWER_SECONDS, client.start())
    except KAFKA_FAILURES:
        return False
    else:
        return True
    finally:
        await client.close()
