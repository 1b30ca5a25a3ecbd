"""One partition of hospital.jobs and the retries that were requested there. `retry_consumer` reads it."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.commands.retry_decision import RetryDecision, decide_retry
from services.status.commands.retry_rows import CHUNK_LIMITS, ChunkLimits, next_chunk, retry_of
from services.status.commands.retry_transactions import RetryProgress, RetryRecord, RetryTransactions
from services.status.metrics import RETRIED_ROWS
from services.status.model.job_facts import JobFacts
from services.status.tables import stored_offsets
from services.status.tables.column_limits import check_column_limits
from services.status.tables.definitions import jobs, tallies
from shared.contract.cloud_events import UndecodableEvent, decode, header
from shared.contract.events import JobRetryRequested
from shared.runtime.kafka.clients import Consumer
from shared.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: The progress past records that request nothing is committed this often: else the group would show a lag for ever.
_IDLE_COMMIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _PendingRetry:
    offset: int
    request: JobRetryRequested
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class KnownJob:
    """`passed`: how far the partition has been projected; the rest is the job's."""

    passed: int | None
    facts: JobFacts | None
    tallies: Mapping[tuple[int, str], int]


class RetryPartition:
    """A partition from its takeover until it is lost. After any failure it is thrown away and taken over anew.

    `clock`: seconds of the monotonic clock.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        engine: AsyncEngine,
        partition: TopicPartition,
        limits: ChunkLimits = CHUNK_LIMITS,
        make_transactions: Callable[[KafkaSettings, int], RetryTransactions] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = settings.topics
        self._engine = engine
        self._at = partition
        self._limits = limits
        make = make_transactions or partial(RetryTransactions, clock=clock)
        self._transactions = make(settings, partition.partition)
        self._clock = clock
        self._pending: deque[_PendingRetry] = deque()
        self._committed = RetryProgress(0)
        self._position = 0
        self._committed_at = 0.0

    async def take_over(self, consumer: Consumer) -> RetryProgress | None:
        """Fences the former owner. Returns where to go on, None at the beginning. Raises one of KAFKA_FAILURES."""
        return await self._transactions.open(consumer)

    def start(self, progress: RetryProgress) -> None:
        """The consumer reads from here."""
        self._committed = progress
        self._position = progress.offset

    async def close(self) -> None:
        """Lets go of the producer."""
        await self._transactions.close()

    @property
    def busy(self) -> bool:
        """Whether there are retries to carry out: nothing more has to be read meanwhile."""
        return bool(self._pending)

    def admit(self, records: list[ConsumerRecord], position: int) -> None:
        """Takes what was read. `position`: the offset that is read next, also past what is never delivered."""
        for record in records:
            if header(record.headers, "ce_type") == JobRetryRequested.__name__:
                self._admit(record)
        self._position = max(self._position, position)

    def _admit(self, record: ConsumerRecord) -> None:
        try:
            event = decode(record.headers, record.value)
            check_column_limits(event, record.value or b"")
        except UndecodableEvent:
            return  # the projection gives it to the dead letters
        if isinstance(event, JobRetryRequested):
            self._pending.append(_PendingRetry(record.offset, event, header(record.headers, "traceparent")))

    async def step(self) -> bool:
        """Does the next thing, at most one transaction. Returns whether anything could be done now.

        Raises Fenced, CommitIndefinite, SQLAlchemyError, OSError.
        """
        if not self._pending:
            return await self._commit_position()
        pending = self._pending[0]
        async with self._engine.connect() as connection:
            known = await connection.run_sync(known_job, self._at, pending.request.job_id)
        match decide_retry(pending.request, pending.offset, known.passed, known.facts, known.tallies):
            case RetryDecision.WAIT:
                return False
            case RetryDecision.IGNORE:
                log.info("retry_ignored", job_id=pending.request.job_id, round=pending.request.round)
                self._pending.popleft()
            case RetryDecision.RUN if known.facts:
                await self._run(pending, known.facts)
        return True

    async def _run(self, pending: _PendingRetry, job: JobFacts) -> None:
        """Writes the next rows of the round; the last of them together with the offset behind the request."""
        after = self._committed.row if self._committed.offset == pending.offset else 0
        retry = retry_of(pending.request, job, pending.traceparent)
        chunk = await next_chunk(self._engine, self._topics, retry, after, self._limits)
        progress = RetryProgress(pending.offset + 1) if chunk.last else RetryProgress(pending.offset, chunk.row)
        await self._commit(progress, chunk.records)
        RETRIED_ROWS.inc(len(chunk.records))
        if chunk.last:
            self._pending.popleft()
            log.info("round_written", job_id=pending.request.job_id, round=pending.request.round, last_row=chunk.row)

    async def _commit_position(self) -> bool:
        if self._position <= self._committed.offset:
            return False
        if self._clock() - self._committed_at < _IDLE_COMMIT_SECONDS:
            return False
        await self._commit(RetryProgress(self._position), [])
        return True

    async def _commit(self, progress: RetryProgress, records: Sequence[RetryRecord]) -> None:
        await self._transactions.commit(records, progress)
        self._committed = progress
        self._committed_at = self._clock()


def known_job(connection: Connection, at: TopicPartition, job_id: str) -> KnownJob:
    """What is known of a job that is to be retried. `at`: its partition of hospital.jobs."""
    passed = stored_offsets.read_offsets(connection, [at]).get(at)
    columns = [jobs.c[field.name] for field in fields(JobFacts)]
    job = connection.execute(select(*columns).where(jobs.c.job_id == job_id)).one_or_none()
    counts = select(tallies.c.round, tallies.c.status, tallies.c.hospitals).where(tallies.c.job_id == job_id)
    return KnownJob(
        passed,
        None if job is None else JobFacts(*job),
        {(round_, status): hospitals for round_, status, hospitals in connection.execute(counts)},
    )
