"""A partition's transactions: the rows of a new round, and how far its retries are carried out, together or not at all.

    group hospital-orders · topic hospital.jobs · transactional id status-orders-<partition>

Opening them fences all earlier owners of the partition; only then is read what these committed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.contract.cloud_events import EventRecord
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.fenced_transactions import ANSWER_SECONDS, FencedTransactions
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

PURPOSE: Final = "orders"
_FORM: Final = re.compile(r"v1:(\d{1,10})")

#: A topic, and what is written to it.
RetryRecord = tuple[str, EventRecord]


@dataclass(frozen=True, slots=True)
class RetryProgress:
    """How far the retries of a partition are carried out: everything before `offset` is.

    Of the retry that stands at `offset`, the rows up to and including `row` are: a large one takes many transactions.
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
    """The transactions of one partition of hospital.jobs."""

    def __init__(self, settings: KafkaSettings, partition: int) -> None:
        self._settings = settings
        self._group = settings.topics.group(PURPOSE)
        self._at = TopicPartition(settings.topics.jobs, partition)
        self._transactions = FencedTransactions.of(
            settings, f"status-orders-{partition}", self._group, f"partition {partition} of {self._at.topic}"
        )

    async def open(self) -> RetryProgress | None:
        """Fences the former owner, then reads its progress; None when nobody has ever committed any.

        Raises KafkaError, OSError or TimeoutError: try again later.
        """
        await self._transactions.open()
        return await run_with_timeout(ANSWER_SECONDS, self._committed())

    async def commit(self, records: Sequence[RetryRecord], progress: RetryProgress) -> None:
        """Writes the records and the progress. Raises Fenced, CommitIndefinite for all else that goes wrong."""
        outgoing = [(topic, record.key, record.value, record.headers) for topic, record in records]
        await self._transactions.commit(outgoing, {self._at: OffsetAndMetadata(progress.offset, progress.metadata())})

    async def close(self) -> None:
        """Lets go of the producer, also when the broker is gone."""
        await self._transactions.close()

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
