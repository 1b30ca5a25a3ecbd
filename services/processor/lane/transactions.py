"""A lane's transactions: results and the offsets that they finish become visible together, or not at all.

group hospital-processor · transactional id processor-<partition>
"""

import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from services.processor import metrics
from services.processor.offsets.watermark import Watermark
from shared.runtime.kafka.fenced_transactions import Fenced, FencedTransactions, OutgoingRecord
from shared.runtime.settings import KafkaSettings


class LaneFenced(Fenced):
    """Another processor owns the lane: discard it, and do not come back on your own."""


class LaneTransactions:
    """The transactions of one lane. Opening them fences every earlier owner of the lane.

    `transactions`: instead of those of a producer of our own.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        partition: int,
        clock: Callable[[], float] = time.monotonic,
        transactions: FencedTransactions | None = None,
    ) -> None:
        self._partition = partition
        self._transactions = transactions or FencedTransactions.of(
            settings, f"processor-{partition}", settings.topics.group("processor"), f"lane {partition}", clock
        )

    async def open(self) -> None:
        """Fences the lane's former owner. Raises one of KAFKA_FAILURES when that cannot be done now."""
        await self._transactions.open()

    async def close(self) -> None:
        """Lets go of the producer, also when the broker is gone."""
        await self._transactions.close()

    async def commit(self, records: Sequence[OutgoingRecord], watermarks: Mapping[str, Watermark]) -> None:
        """Writes the records and commits the watermarks by topic in one transaction.

        Raises LaneFenced, or CommitIndefinite for everything else that goes wrong or takes longer than 5 s.
        """
        offsets = {
            TopicPartition(topic, self._partition): OffsetAndMetadata(mark.offset, mark.metadata())
            for topic, mark in watermarks.items()
        }
        try:
            seconds = await self._transactions.commit(records, offsets)
        except Fenced as fenced:
            raise LaneFenced(str(fenced)) from fenced
        metrics.COMMIT_SECONDS.observe(seconds)
