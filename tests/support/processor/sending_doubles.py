"""A sender whose lanes and directory are fakes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from services.processor.directory.outcomes import Created, Listed
from services.processor.lane.row import Row
from services.processor.lane.transitions import AttemptRules
from services.processor.limits.backoff import Backoff
from services.processor.limits.circuit_breakers import CircuitBreakers
from services.processor.limits.rate_limit import RateLimit
from services.processor.sending.lookups import LookupQueue
from services.processor.sending.sender import Sender, SenderParts
from services.processor.settings import DirectorySettings
from shared.contract.topics import Topics
from tests.support.processor.lane_doubles import FakeLane, accepted, make_row

TOPICS = Topics()


class QueueLane(FakeLane):
    """A lane whose rows may all be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[Row]] = {topic: [] for topic in TOPICS.rows}
        self.in_flight = 0
        self.skipped: list[str] = []
        self.activations = SimpleNamespace(ready=[])

    def put(self, row_number: int, *, bulk: bool = False, **attempts: object) -> Row:
        """One more row, for which that has been tried."""
        row = make_row(accepted(row_number), topic=TOPICS.rows_bulk if bulk else TOPICS.rows_express, **attempts)
        self.rows[row.topic].append(row)
        return row

    def next_row(self, topic: str) -> Row | None:
        return self.rows[topic][0] if self.rows[topic] else None

    def next_probe(self, topic: str) -> Row | None:
        return min(self.rows[topic], key=lambda row: row.attempts.backoff_count, default=None)

    def skip_ahead(self, topic: str) -> None:
        self.skipped.append(topic)

    def call_begins(self, row: Row) -> None:
        self.rows[row.topic].remove(row)
        self.in_flight += 1

    def call_ended(self) -> None:
        self.in_flight -= 1

    def permits(self, row: Row) -> bool:
        return True


class FakeDirectory:
    """Answers creations in the order of `answers`, then with success; keeps the order in which calls came."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.listed: object = Listed(())
        self.rows: list[int | str] = []

    async def create(self, event: Any, guard: Callable[[], bool], traceparent: str | None = None) -> object:
        assert guard()
        self.rows.append(event.row)
        answer = self.answers.pop(0) if self.answers else Created(1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def look_up(self, batch_id: str, guard: Callable[[], bool]) -> object:
        self.rows.append(batch_id)
        return self.listed


@dataclass(frozen=True)
class RunningSender:
    """A sender, and what a test looks at."""

    task: asyncio.Task[None]
    sender: Sender
    breakers: CircuitBreakers
    rate_limit: RateLimit
    lookups: LookupQueue
    job_commands: SimpleNamespace


@asynccontextmanager
async def sending(
    lane: object,
    directory: object,
    *,
    connections: int = 1,
    threshold: int = 5,
    recovery: float = 0.05,
    backoff: Backoff | None = None,
) -> AsyncIterator[RunningSender]:
    """A running sender without a rate limit. Its breakers open after `threshold` failures, for `recovery` seconds."""
    settings = DirectorySettings(hospital_api_max_connections=connections, hospital_api_timeout=2, retry_min_wait=0.1)
    rules = AttemptRules(3, settings.settled_seconds, (backoff or Backoff(0.01, 0.02)).seconds)
    job_commands = SimpleNamespace(may_send=True)

    def notify() -> None:
        sender.notify()

    breakers = CircuitBreakers(threshold, recovery, notify)
    lookups = LookupQueue(rules, notify, 30.0)
    rate_limit = RateLimit(0, 1.0, 1, "p")
    parts = SenderParts(directory, breakers, rate_limit, lookups, job_commands, rules)  # type: ignore[arg-type]
    sender = Sender(settings, TOPICS, parts, lambda: [lane])  # type: ignore[list-item]
    await breakers.start()
    task = asyncio.create_task(sender.run())
    try:
        yield RunningSender(task, sender, breakers, rate_limit, lookups, job_commands)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


async def until(condition: Callable[[], bool], seconds: float = 2.0) -> None:
    """Returns when the condition holds. Raises TimeoutError after that time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the sender tells nobody
            await asyncio.sleep(0.002)
