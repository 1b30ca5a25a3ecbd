"""A partition's transactions: the rows of a new round, and how far its retries are carried out, together or not at all.

    group hospital-orders · topic hospital.jobs · transactional id status-orders-<partition>

Opening them fences all earlier owners of the partition, and takes the same steps as the takeover of a lane:

read     Who cannot read what the group has committed must not fence: it would stop a healthy owner, and never go on.
prove    Only a member of the group's present generation may fence: the partition may have another owner by now.
fence    From then on the former owner commits nothing more.
read     Only what is read now holds: the former owner may have committed since the first read.
"""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.contract.cloud_events import EventRecord
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.fenced_transactions import FencedTransactions
from shared.runtime.kafka.group_offsets import GroupOffsets
from shared.runtime.kafka.membership import prove_membership
from shared.runtime.settings import KafkaSettings

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
    """The transactions of one partition of hospital.jobs. `clock`: seconds of the monotonic clock."""

    def __init__(
        self,
        settings: KafkaSettings,
        partition: int,
        prove: Callable[[Consumer], Awaitable[None]] = prove_membership,
        group_offsets: Callable[[KafkaSettings], GroupOffsets] = GroupOffsets,
        transactions: FencedTransactions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._group = settings.topics.group(PURPOSE)
        self._at = TopicPartition(settings.topics.jobs, partition)
        self._prove = prove
        self._group_offsets = group_offsets
        self._transactions = transactions or FencedTransactions.of(
            settings, f"status-orders-{partition}", self._group, f"partition {partition} of {self._at.topic}", clock
        )

    async def open(self, consumer: Consumer) -> RetryProgress | None:
        """Takes the partition over for this member. Returns the former owner's progress, None when there is none.

        Raises one of KAFKA_FAILURES: try again later, with new transactions. Raises ValueError for a progress that
        this version does not understand, before anybody is fenced.
        """
        async with self._group_offsets(self._settings) as offsets:
            await self._read(offsets)
            await self._prove(consumer)
            await self._transactions.open()
            return await self._read(offsets)

    async def commit(self, records: Sequence[RetryRecord], progress: RetryProgress) -> None:
        """Writes the records and the progress. Raises Fenced, CommitIndefinite for all else that goes wrong."""
        outgoing = [(topic, record.key, record.value, record.headers) for topic, record in records]
        await self._transactions.commit(outgoing, {self._at: OffsetAndMetadata(progress.offset, progress.metadata())})

    async def close(self) -> None:
        """Lets go of the producer, also when the broker is gone."""
        await self._transactions.close()

    async def _read(self, offsets: GroupOffsets) -> RetryProgress | None:
        commit = (await offsets.read(self._group, [self._at])).get(self._at)
        return None if commit is None else read_progress(commit.offset, commit.metadata or "")
