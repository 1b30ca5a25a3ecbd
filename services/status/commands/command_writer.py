"""Writes commands to hospital.jobs, each in a transaction of its own, so that it is known whether it stands.

    record ──acknowledged──> commit ──answered──> it stands

    time is up, or an error, before the commit began   it will never stand: no commit is ever sent for it
    time is up, or an error, in the commit             fence, then read the record back; else nobody knows yet

A record that is only sent may be written long after its time-out, by a Kafka that was frozen. The transactional id is
`status-commands-<process>`. A new producer with it ends what the one before has left open.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import structlog
from aiokafka import TopicPartition

from shared.contract.cloud_events import EventRecord, encode
from shared.contract.events import JobEvent
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer, Producer
from shared.runtime.kafka.closing import end_producer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.reconnecting_client import ReconnectingClient
from shared.runtime.settings import KafkaSettings
from shared.runtime.telemetry import current_traceparent
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

#: An open transaction hides what others write to the partition. A process that dies in one is not waited for longer.
_TRANSACTION_TIMEOUT_MS: Final = 5_000
#: A commit takes about 10 ms. It does not begin when less is left: that would only leave its end unknown.
_COMMIT_SECONDS: Final = 0.2
#: After a slower one a second copy of its requests may be under way: the next command gets a new producer.
_SLOW_SECONDS: Final = 1.0
_WARM_UP_SECONDS: Final = 5.0
_SETTLING_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.5
_POLL_MS: Final = 50


class CommandNotTaken(Exception):
    """The command does not stand, and never will: send it again when Kafka is back."""


class CommandUnsettled(Exception):
    """Nobody knows yet whether the command stands. It will be known when Kafka answers again."""


@dataclass(frozen=True, slots=True)
class WrittenCommand:
    """A command that stands, and its position."""

    partition: TopicPartition
    offset: int


@dataclass(slots=True)
class _Attempt:
    """One command on its way. A commit never begins after its caller has given it up."""

    given_up: bool = False
    #: Where the record is whose commit has begun.
    committing: WrittenCommand | None = None

    def check(self) -> None:
        """Raises TimeoutError when nobody waits for it any more. A client may swallow that it was cancelled."""
        if self.given_up:
            raise TimeoutError("the command was given up before its commit")


class CommandProducer(Producer):
    """A transactional producer that is gone at once: what it has not sent is not to be sent."""

    @classmethod
    def of(cls, settings: KafkaSettings, transactional_id: str) -> "CommandProducer":
        """Not connected yet."""
        return cls(
            **kafka_options.producer_options(settings),
            transactional_id=transactional_id,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
        )

    async def stop(self, seconds: float = 0.0) -> None:  # noqa: ARG002 - nothing is waited for
        """Closes the connections, whatever was under way on them."""
        self._closed = True
        await end_producer(self)


class CommittedRecords:
    """Reads single records of hospital.jobs back, as every reader sees them."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._options = kafka_options.consumer_options(settings)

    async def holds(self, written: WrittenCommand) -> bool:
        """Whether the record is committed. Waits until that is decided. Raises one of KAFKA_FAILURES."""
        consumer = Consumer(**self._options)
        try:
            await consumer.start()
            consumer.assign([written.partition])
            consumer.seek(written.partition, written.offset)
            while True:
                for record in (await consumer.getmany(timeout_ms=_POLL_MS)).get(written.partition, ()):
                    return bool(record.offset == written.offset)
                if await consumer.position(written.partition) > written.offset:
                    return False
        finally:
            await consumer.stop()


class CommandWriter:
    """Writes one command at a time: a transaction takes about 20 ms, and people are slow."""

    def __init__(
        self,
        settings: KafkaSettings,
        make_producer: Callable[[KafkaSettings, str], Any] = CommandProducer.of,
        committed: CommittedRecords | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = settings.topics.jobs
        transactional_id = settings.topics.transactional_id(f"status-commands-{uuid4().hex[:12]}")
        self._producer: ReconnectingClient[Any] = ReconnectingClient(lambda: make_producer(settings, transactional_id))
        self._committed = committed or CommittedRecords(settings)
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._fencing: asyncio.Task[None] | None = None
        self._unfinished: set[asyncio.Task[None]] = set()

    async def append(self, event: JobEvent, budget: AnswerBudget) -> WrittenCommand:
        """Returns when the command stands.

        Raises CommandNotTaken: it does not stand, and never will. Raises CommandUnsettled when nobody knows yet.
        """
        attempt = _Attempt()
        record = encode(event, "status", current_traceparent())
        try:
            return await budget.run(self._write(record, attempt, budget))
        except Exception as error:  # noqa: BLE001 - not all that aiokafka raises are KafkaErrors
            attempt.given_up = True
            return await self._end(attempt, error, budget)
        except asyncio.CancelledError:  # the caller has gone
            attempt.given_up = True
            raise

    async def warm_up(self) -> None:
        """Connects, so that the first command does not wait for it. Kafka may be away: the first one tries again."""
        with contextlib.suppress(*KAFKA_FAILURES):
            await run_with_timeout(_WARM_UP_SECONDS, self._producer.ready())

    async def close(self) -> None:
        """Disconnects; waits a few seconds at most."""
        for task in self._unfinished:
            task.cancel()
        await self._producer.close()

    async def _write(self, record: EventRecord, attempt: _Attempt, budget: AnswerBudget) -> WrittenCommand:
        async with self._one_at_a_time:
            attempt.check()
            producer = await self._producer.ready()
            began = self._clock()
            try:
                written = await self._transaction(producer, record, attempt, budget)
            except BaseException:
                # Before the next command gets its turn: it must not find this producer.
                self._producer.discard()
                self._fence_soon()
                raise
            if self._clock() - began > _SLOW_SECONDS:
                self._producer.discard()
            return written

    async def _transaction(
        self, producer: Any, record: EventRecord, attempt: _Attempt, budget: AnswerBudget
    ) -> WrittenCommand:
        attempt.check()
        await producer.begin_transaction()
        sent = await producer.send_and_wait(self._topic, **record.fields())
        written = WrittenCommand(TopicPartition(sent.topic, sent.partition), sent.offset)
        attempt.check()
        if budget.remaining < _COMMIT_SECONDS:
            raise TimeoutError("too little time is left for the commit")
        attempt.committing = written
        await producer.commit_transaction()
        return written

    async def _end(self, attempt: _Attempt, error: BaseException, budget: AnswerBudget) -> WrittenCommand:
        """What became of a command whose transaction did not return."""
        reason = str(error) or type(error).__name__
        if (written := attempt.committing) is None:
            raise CommandNotTaken(reason) from error
        try:
            stands = await budget.run(self._settle(written))
        except KAFKA_FAILURES:
            log.warning("command_unsettled", offset=written.offset, reason=reason)
            self._later(self._settle_later(written))
            raise CommandUnsettled(reason) from error
        if not stands:
            raise CommandNotTaken(reason) from error
        return written

    async def _settle(self, written: WrittenCommand) -> bool:
        """Ends the transaction, whichever way, by fencing its producer. Returns whether the record is committed."""
        await self._producer.ready()
        return await self._committed.holds(written)

    async def _settle_later(self, written: WrittenCommand) -> None:
        """Waits as long for the broker as it may keep a transaction open, and longer."""
        with contextlib.suppress(*KAFKA_FAILURES):
            stands = await run_with_timeout(_SETTLING_SECONDS, self._committed.holds(written))
            log.info("command_settled", offset=written.offset, stands=stands)

    def _fence_soon(self) -> None:
        """Ends what was left open as soon as Kafka answers: until then it hides what others write."""
        if self._fencing is None or self._fencing.done():
            self._fencing = self._later(self._fence())

    async def _fence(self) -> None:
        deadline = self._clock() + _SETTLING_SECONDS
        while self._clock() < deadline:
            try:
                await run_with_timeout(_SETTLING_SECONDS, self._producer.ready())
                return
            except KAFKA_FAILURES:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return task
