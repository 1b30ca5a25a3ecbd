"""A lane's transactions: its watermarks become the group's offsets, and a fence is a lane's."""

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from services.processor.lane.transactions import LaneFenced, LaneTransactions
from services.processor.offsets.watermark import Watermark
from shared.runtime.kafka.fenced_transactions import Fenced
from shared.runtime.settings import KafkaSettings


class FakeTransactions:
    """Keeps what is committed, or fails."""

    def __init__(self, error=None):
        self.error = error
        self.commits = []

    async def commit(self, records, offsets):
        if self.error:
            raise self.error
        self.commits.append((records, offsets))
        return 0.03


async def test_the_watermarks_are_committed_beside_the_results():
    """On the lane's partition of each topic, with bitmap and horizon as the offset's metadata."""
    fake, mark = FakeTransactions(), Watermark(7, 9)
    results = [("hospital.results", b"job", b"{}", [])]
    await LaneTransactions(KafkaSettings(), 3, transactions=fake).commit(results, {"hospital.rows.bulk": mark})
    assert fake.commits == [(results, {TopicPartition("hospital.rows.bulk", 3): OffsetAndMetadata(7, mark.metadata())})]


async def test_a_fence_is_told_as_the_lane_s():
    """So that whoever owns the lane discards it."""
    fenced = FakeTransactions(Fenced("lane 3 has another owner"))
    with pytest.raises(LaneFenced, match="lane 3 has another owner"):
        await LaneTransactions(KafkaSettings(), 3, transactions=fenced).commit([], {})
