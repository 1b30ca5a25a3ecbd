"""A partition's transactions: the rows of a new round and how far its orders are carried out, together or not at all.

    group hospital-orders · topic hospital.jobs · transactional id status-orders-<partition>

Whoever starts the ledger fences all earlier owners of the partition, and only then reads what they committed.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from shared.contract.cloud_events import EventRecord
from shared.runtime import kafka_options
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

PURPOSE: Final = "orders"
_TRANSACTION_TIMEOUT_MS: Final = 10_000
#: A commit that took longer may have reached the broker in another order than it was sent: take over again.
_SLOW_COMMIT_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 9.0
_CLOSE_SECONDS: Final = 2.0
_FORM: Final = re.compile(r"v1:(\d{1,10})")

#: topic and record.
OutgoingRecord = tuple[str, EventRecord]


class RetriesFenced(RuntimeError):
    """Another replica owns the partition: leave it alone."""


class CommitIndefinite(RuntimeError):
    """Nobody knows whether the commit happened: take the partition over again and see."""


@dataclass(frozen=True, slots=True)
class RetryProgress:
    """How far the orders of a partition are carried out: everything before `offset`, and of the order that stands

    there the rows up to and including `row`. A large retry is written in many transactions.
    """

    offset: int
    row: int = 0

    def metadata(self) -> str:
        """The text that is committed beside the offset."""
        return f"v1:{self.row}" if self.row else ""


def read_progress(offset: int, metadata: str) -> RetryProgress:
    """What was committed. Raises ValueError for a text that is none of ours: nobody knows which rows were written."""
    if not metadata:
        return RetryProgress(offset)
    found = _FORM.fullmatch(metadata)
    if found is None:
        raise ValueError(f"the group committed {metadata!r} at {offset}, which this version does not understand")
    return RetryProgress(offset, int(found[1]))


class RetryTransactions:
    """The transactional producer of one partition of hospital.jobs."""

    def __init__(self, settings: KafkaSettings, partition: int) -> None:
        self._settings = settings
        self._group = settings.topics.group(PURPOSE)
        self._at = TopicPartition(settings.topics.jobs, partition)
        self._producer = AIOKafkaProducer(
            **kafka_options.producer_options(settings),
            transactional_id=settings.topics.transactional_id(f"status-orders-{partition}"),
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
        )

    async def open(self) -> RetryProgress | None:
        """Fences the former owner, then reads its progress; None when nobody has ever committed any.

        Raises KafkaError, OSError or TimeoutError: try again later.
        """
        await run_with_timeout(_PATIENCE_SECONDS, self._producer.start())
        return await run_with_timeout(_PATIENCE_SECONDS, self._committed())

    async def commit(self, records: Sequence[OutgoingRecord], progress: RetryProgress) -> None:
        """Writes the records and the progress. Raises RetriesFenced, CommitIndefinite for all else that goes wrong."""
        began = time.monotonic()
        try:
            await run_with_timeout(_PATIENCE_SECONDS, self._transaction(records, progress))
        except ProducerFenced as error:
            raise RetriesFenced(f"partition {self._at.partition} has another owner") from error
        except Exception as error:
            # aiokafka asserts where a transaction was cancelled half-way, and not all of its errors are KafkaErrors.
            raise CommitIndefinite(repr(error)) from error
        if (seconds := time.monotonic() - began) > _SLOW_COMMIT_SECONDS:
            raise CommitIndefinite(f"the commit took {seconds:.1f} s")

    async def close(self) -> None:
        """Lets go of the producer, also when the broker is gone."""
        try:
            await run_with_timeout(_CLOSE_SECONDS, self._producer.stop())
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("producer_not_stopped", partition=self._at.partition, reason=repr(error))

    async def _transaction(self, records: Sequence[OutgoingRecord], progress: RetryProgress) -> None:
        await self._producer.begin_transaction()
        # A send that fails for good does not abort the transaction by itself: each one is kept and awaited.
        sends = [await self._producer.send(topic, **record.fields()) for topic, record in records]
        await asyncio.gather(*sends)
        offsets = {self._at: OffsetAndMetadata(progress.offset, progress.metadata())}
        await self._producer.send_offsets_to_transaction(offsets, self._group)
        await self._producer.commit_transaction()

    async def _committed(self) -> RetryProgress | None:
        # aiokafka's consumer drops the metadata, the admin client does not.
        admin = kafka_options.admin_client(self._settings)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self._group, partitions=[self._at])
        finally:
            await admin.close()
        commit = found.get(self._at)
        return None if commit is None or commit.offset < 0 else read_progress(commit.offset, commit.metadata or "")
