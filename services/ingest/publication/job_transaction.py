"""One job in one Kafka transaction: every row, then JobAccepted. All of it or nothing.

open_transaction ─> publish ─> committed
                       ├─> NotPublished    the commit was not asked for: the job does not and will not exist
                       └─> OutcomeUnknown  the commit was asked for and not confirmed: recovery finds out
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.errors import KafkaError

from services.ingest.job_events.prepared_job import PreparedJob, bundles
from services.ingest.metrics import ROWS_PUBLISHED
from services.ingest.publication.connection_pool import Connection, ConnectionPool
from services.ingest.publication.job_producer import JobProducer, job_producer
from services.ingest.publication.row_batches import row_batches
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import detach

#: Batches that are sent before the first of them has to be acknowledged.
_MAX_UNACKNOWLEDGED: Final = 32
#: The least time to begin a commit with: its outcome should still be heard.
_COMMIT_SECONDS: Final = 0.2


class NotPublished(RuntimeError):
    """Nothing of the job will ever be seen: its key can be used again at once."""


class OutcomeUnknown(RuntimeError):
    """The job may exist or not. Recovery finds out."""


class JobTransaction:
    """The transaction of one job. Every wait for Kafka is part of the upload's budget."""

    def __init__(self, producer: JobProducer, settings: KafkaSettings, budget: AnswerBudget) -> None:
        self._producer = producer
        self._topics = settings.topics
        self._budget = budget
        #: Whether something was begun that has not come to its end.
        self.is_open = False

    async def begin(self) -> None:
        """Fences any other producer of the job. Raises NotPublished when Kafka does not answer in time."""
        try:
            await self._budget.run(self._producer.start())
        except KAFKA_FAILURES as error:
            raise NotPublished(str(error)) from error

    async def publish(self, job: PreparedJob, jobs_partition: int) -> None:
        """Writes and commits the job. Raises NotPublished and OutcomeUnknown when Kafka does not answer in time."""
        try:
            await self.write(job, jobs_partition)
            self._require_time_to_commit()
        except KAFKA_FAILURES as error:
            raise NotPublished(str(error)) from error
        await self.commit()
        ROWS_PUBLISHED.inc(job.accepted.total_hospitals)

    async def write(self, job: PreparedJob, jobs_partition: int) -> None:
        """Writes every row and, once all are acknowledged, JobAccepted. Nothing is visible before the commit."""
        self.is_open = True
        await self._budget.run(self._producer.begin_transaction())
        await self._write_rows(job)
        await self._budget.run(self.write_job_accepted(job, jobs_partition))

    async def write_job_accepted(self, job: PreparedJob, jobs_partition: int) -> None:
        """Writes the job's last record. Returns when it is acknowledged."""
        record = job.job_accepted_record()
        await self._producer.send_and_wait(self._topics.jobs, partition=jobs_partition, **record.fields())

    async def commit(self) -> None:
        """Makes the job visible. Raises OutcomeUnknown when that is not confirmed in time."""
        try:
            await self._budget.run(self._producer.commit_transaction())
        except KAFKA_FAILURES as error:
            raise OutcomeUnknown(str(error)) from error
        self.is_open = False

    async def _write_rows(self, job: PreparedJob) -> None:
        topic = self._topics.rows_express if job.accepted.express else self._topics.rows_bulk
        await self._require_partitions(topic)
        unacknowledged: deque[asyncio.Future[Any]] = deque()
        for bundle in bundles(job.records):
            async for batch in row_batches(self._producer, bundle, job.headers):
                sending = self._producer.send_batch(batch, topic, partition=bundle.partition)
                unacknowledged.append(await self._budget.run(sending))
                detach(unacknowledged[-1])
            # While the latest batches are sent, those before them are acknowledged.
            while len(unacknowledged) > _MAX_UNACKNOWLEDGED:
                await self._acknowledged(unacknowledged.popleft())
        for batch_sent in unacknowledged:
            await self._acknowledged(batch_sent)

    async def _acknowledged(self, batch_sent: asyncio.Future[Any]) -> None:
        if not batch_sent.done():
            await self._budget.run(_end_of(batch_sent))
        batch_sent.result()

    async def _require_partitions(self, topic: str) -> None:
        # Each row's partition was computed from the settings. Readiness is red as well when they are not the topic's.
        found = await self._budget.run(self._producer.partitions_for(topic))
        if len(found) != self._topics.partitions:
            raise KafkaError(f"{topic} has {len(found)} partitions, not {self._topics.partitions}")

    def _require_time_to_commit(self) -> None:
        if self._budget.remaining < _COMMIT_SECONDS:
            raise TimeoutError("no time was left for the commit")


@asynccontextmanager
async def open_transaction(
    pool: ConnectionPool,
    job_id: str,
    rows: int,
    budget: AnswerBudget,
    transaction_type: type[JobTransaction] = JobTransaction,
) -> AsyncIterator[JobTransaction]:
    """The transaction of a job of so many rows; any other producer of the job is fenced.

    Raises NotPublished when Kafka does not answer in time. The producer is ended in the background, since that may
    take as long as an outage of Kafka.
    """
    connection = pool.acquire()
    producer = job_producer(pool.settings, connection, job_id, rows)
    transaction = transaction_type(producer, pool.settings, budget)
    try:
        await transaction.begin()
        yield transaction
    except BaseException:
        transaction.is_open = True
        raise
    finally:
        if transaction.is_open:
            pool.close_idle()
            detach(asyncio.create_task(producer.abort()))
        else:
            detach(asyncio.create_task(_end(producer, connection, pool)))


async def fence(pool: ConnectionPool, job_id: str, budget: AnswerBudget) -> None:
    """From now on nobody else can commit this job. Raises NotPublished when Kafka does not answer in time."""
    async with open_transaction(pool, job_id, 0, budget):
        pass


async def _end(producer: JobProducer, connection: Connection, pool: ConnectionPool) -> None:
    await producer.end()
    pool.release(connection)


async def _end_of(future: asyncio.Future[Any]) -> None:
    await asyncio.wait({future})
