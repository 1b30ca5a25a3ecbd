"""One job in one Kafka transaction: every row, then JobAccepted. Whole, or not at all.

open_publication ─> publish ─> committed
                       ├─> NotPublished    the commit was never asked for: the job does not and will not exist
                       └─> OutcomeUnknown  the commit was asked for and not confirmed: settle it
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from services.ingest.job_events.prepared_job import Bundle, PreparedJob, bundles
from services.ingest.job_events.row_encoder import RowHeaders
from services.ingest.metrics import ROWS_PUBLISHED
from services.ingest.publication.connection_pool import Connection, Connections
from services.ingest.publication.job_producer import JobProducer
from shared.contract.cloud_events import EventRecord
from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import detach, run_with_timeout

log = structlog.get_logger(__name__)

_TRANSACTION_SECONDS: Final = 10.0
_ROWS_PER_EXTRA_SECOND: Final = 5_000
#: A bundle fits, with its keys and headers.
_BATCH_BYTES: Final = 256 * 1024
_MAX_UNACKNOWLEDGED: Final = 32
_ROWS_AT_A_TIME: Final = 64
_COMMIT_SECONDS: Final = 0.2
#: What goes wrong with Kafka. aiokafka asserts that a producer which has failed is used no more.
_FAILURES: Final = (KafkaError, OSError, TimeoutError, AssertionError)


class NotPublished(RuntimeError):
    """Nothing of the job will ever be seen: its key can be used again at once."""


class OutcomeUnknown(RuntimeError):
    """The job may exist or not, until it is settled."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long Kafka is waited for: at any one point, and in all."""

    seconds: float
    until: float = math.inf

    def left(self) -> float:
        """The longest that the next wait may be."""
        return max(0.0, min(self.seconds, self.until - asyncio.get_running_loop().time()))

    def ask_for_a_commit(self) -> None:
        """Raises TimeoutError when there is no time to hear how it ends: better not to begin with it."""
        if self.left() < _COMMIT_SECONDS:
            raise TimeoutError("no time was left for the commit")


class Publication:
    """A producer of one job's own, which fenced all that had its job id before."""

    def __init__(self, producer: JobProducer, settings: KafkaSettings, patience: Patience) -> None:
        self._producer = producer
        self._topics = settings.topics
        self._patience = patience
        #: Whether something was begun that has not come to its end.
        self.is_open = False

    async def begin(self) -> None:
        """Fences whoever had the job's id before. Raises NotPublished when Kafka does not answer in time."""
        try:
            await run_with_timeout(self._patience.left(), self._producer.start())
        except _FAILURES as error:
            raise NotPublished(str(error)) from error

    async def publish(self, job: PreparedJob, jobs_partition: int) -> None:
        """Writes the job; no wait for Kafka is longer than its patience. Raises NotPublished, OutcomeUnknown."""
        try:
            await self._write(job, jobs_partition)
            self._patience.ask_for_a_commit()
        except _FAILURES as error:
            raise NotPublished(str(error)) from error
        await self._commit()
        ROWS_PUBLISHED.inc(job.accepted.total_hospitals)

    async def _write(self, job: PreparedJob, jobs_partition: int) -> None:
        self.is_open = True
        await run_with_timeout(self._patience.left(), self._producer.begin_transaction())
        topic = self._topics.rows_express if job.accepted.express else self._topics.rows_bulk
        await self._refuse_other_partitions(topic)
        unacknowledged: deque[asyncio.Future[Any]] = deque()
        for bundle in bundles(job.records):
            # While these are sent, those before them are acknowledged.
            async for batch in self._batches(bundle, job.headers):
                sending = self._producer.send_batch(batch, topic, partition=bundle.partition)
                unacknowledged.append(await run_with_timeout(self._patience.left(), sending))
                detach(unacknowledged[-1])
            while len(unacknowledged) > _MAX_UNACKNOWLEDGED:
                await _within(self._patience.left(), unacknowledged.popleft())
        for acknowledgement in unacknowledged:
            await _within(self._patience.left(), acknowledgement)
        last = job.acceptance()
        await run_with_timeout(self._patience.left(), self._send_last(last, jobs_partition))

    async def _batches(self, bundle: Bundle, headers: RowHeaders) -> AsyncIterator[BatchBuilder]:
        """The bundle as Kafka's batches: one, unless it holds more than fits."""
        batch = self._producer.create_batch()
        for number, (key, value) in enumerate(bundle.records):
            if number % _ROWS_AT_A_TIME == _ROWS_AT_A_TIME - 1:
                # A small upload takes some fifty turns of the event loop: each of them has to be short.
                await asyncio.sleep(0)
            about = headers.of(key)
            if batch.append(timestamp=None, key=key, value=value, headers=about) is None:
                yield batch
                batch = self._producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=about)
        yield batch

    async def _refuse_other_partitions(self, topic: str) -> None:
        # Each row's partition was computed from the settings. Readiness is red as well when they are not the topic's.
        found = await run_with_timeout(self._patience.left(), self._producer.partitions_for(topic))
        if len(found) != self._topics.partitions:
            raise KafkaError(f"{topic} has {len(found)} partitions, not {self._topics.partitions}")

    async def _commit(self) -> None:
        try:
            await run_with_timeout(self._patience.left(), self._producer.commit_transaction())
        except _FAILURES as error:
            raise OutcomeUnknown(str(error)) from error
        self.is_open = False

    async def _send_last(self, record: EventRecord, partition: int) -> None:
        await self._producer.send_and_wait(self._topics.jobs, partition=partition, **record.fields())


@asynccontextmanager
async def open_publication(
    connections: Connections, job_id: str, rows: int, seconds: float, until: float = math.inf
) -> AsyncIterator[Publication]:
    """A started producer whose transactional id is the job's. Raises NotPublished when Kafka does not answer in time.

    That is `seconds` for each wait, and `until` (the event loop's time) for all of them together.

    Whatever happens, it is ended in the background: that may hang for as long as the broker does.
    """
    settings, connection = connections.settings, connections.lend()
    producer = JobProducer(
        connection,
        **kafka_options.producer_options(settings),
        transactional_id=settings.topics.transactional_id(job_id),
        transaction_timeout_ms=int(1000 * (_TRANSACTION_SECONDS + rows / _ROWS_PER_EXTRA_SECOND)),
        max_batch_size=_BATCH_BYTES,
    )
    publication = Publication(producer, settings, Patience(seconds, until))
    try:
        await publication.begin()
        yield publication
    except BaseException:
        publication.is_open = True
        raise
    finally:
        if publication.is_open:
            connections.distrust()
            detach(asyncio.create_task(_retire(producer)))
        else:
            detach(asyncio.create_task(_hand_back(producer, connection, connections)))


async def fence(connections: Connections, job_id: str, patience: float) -> None:
    """From now on nobody can commit this job. Raises NotPublished when Kafka does not answer in time."""
    async with open_publication(connections, job_id, 0, patience):
        pass


async def _hand_back(producer: JobProducer, connection: Connection, connections: Connections) -> None:
    await producer.end()
    connections.take_back(connection)


async def _retire(producer: JobProducer) -> None:
    with suppress(Exception):
        # Only an open transaction is aborted: it would hide the records of others until it timed out.
        await run_with_timeout(5.0, producer.abort_transaction())
    with suppress(Exception):
        await run_with_timeout(30.0, producer.stop())
        return
    with suppress(Exception):
        await producer.client.close()


async def _within(seconds: float, acknowledgements: asyncio.Future[Any]) -> None:
    async with asyncio.timeout(seconds):
        await acknowledgements
