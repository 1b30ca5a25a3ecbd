"""A lane's transactions: every end is a success, a fence, or a reason to take over."""

import asyncio

import pytest
from aiokafka.errors import IllegalOperation, KafkaConnectionError, ProducerFenced
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from services.processor.lane import transactions as commit_module
from services.processor.lane.transactions import CommitIndefinite, LaneFenced, LaneTransactions
from services.processor.offsets.watermark import Watermark
from shared.runtime.settings import KafkaSettings
from tests.support.processor.lane_doubles import Clock


class FakeProducer:
    """Fails where it is told to."""

    def __init__(self, error=None, batch_bytes=16_384):
        self.error = error
        self.batch_bytes = batch_bytes
        self.calls = []
        self.sent = []

    async def begin_transaction(self):
        self.calls.append("begin")

    async def partitions_for(self, topic):
        return {0, 1, 2, 3, 4, 5}

    def create_batch(self):
        return BatchBuilder(self.batch_bytes, 0, is_transactional=1)

    async def send_batch(self, batch, topic, *, partition):
        self.calls.append(topic)
        self.sent.append((topic, partition, batch.record_count()))
        acknowledged = asyncio.get_running_loop().create_future()
        if isinstance(self.error, KafkaConnectionError):
            acknowledged.set_exception(self.error)
        else:
            acknowledged.set_result(None)
        return acknowledged

    async def send_offsets_to_transaction(self, offsets, group):
        self.calls.append(group)
        if self.error and not isinstance(self.error, KafkaConnectionError):
            raise self.error

    async def commit_transaction(self):
        self.calls.append("commit")

    async def stop(self):
        if self.error:
            raise self.error


async def transactions(error=None):
    made = LaneTransactions(KafkaSettings(), 3)
    made._producer = FakeProducer(error)
    return made


MARKS = {"hospital.rows.express": Watermark(1, 1)}


async def test_results_come_first_and_offsets_go_with_them():
    """One transaction."""
    made = await transactions()
    await made.commit([("hospital.results", b"job", b"{}", [])], MARKS)
    assert made._producer.calls == ["begin", "hospital.results", "hospital-processor", "commit"]


async def test_what_goes_to_a_partition_goes_together_in_order():
    """The partition is the one in which every Kafka client puts this key; dead letters without a key go anywhere."""
    made = await transactions()
    records = [("hospital.results", b"job", b"%d" % number, [("ce_id", b"1")]) for number in range(3)]
    await made.commit([*records, ("hospital.dead-letters", None, b"?", [])], MARKS)
    (results, dead_letters) = made._producer.sent
    assert results == ("hospital.results", DefaultPartitioner()(b"job", range(6), range(6)), 3)
    assert dead_letters[0] == "hospital.dead-letters"


async def test_what_is_too_much_for_a_batch_goes_in_several():
    """A record that is too large for any goes alone."""
    made = await transactions()
    made._producer.batch_bytes = 300
    records = [("hospital.results", b"job", b"x" * size, []) for size in (100, 100, 1000, 100)]
    await made.commit(records, MARKS)
    assert [records for _, _, records in made._producer.sent] == [2, 1, 1]


async def test_a_send_that_fails_for_good_is_never_committed():
    """aiokafka would commit the transaction without the record."""
    made = await transactions(KafkaConnectionError("gone"))
    with pytest.raises(CommitIndefinite):
        await made.commit([("hospital.results", b"job", b"{}", [])], MARKS)
    assert "commit" not in made._producer.calls


async def test_a_fenced_producer_says_so():
    """The lane is discarded, and does not come back by itself."""
    made = await transactions(ProducerFenced())
    with pytest.raises(LaneFenced, match="lane 3 has another owner"):
        await made.commit([], MARKS)


@pytest.mark.parametrize(
    "error", [IllegalOperation("x"), AssertionError(), RuntimeError("x"), TimeoutError(), OSError()]
)
async def test_whatever_else_happens_nobody_knows_whether_it_was_committed(error):
    """A transaction that was cancelled half-way leaves the producer in a state that aiokafka only asserts against."""
    made = await transactions(error)
    with pytest.raises(CommitIndefinite):
        await made.commit([], MARKS)


async def test_a_slow_commit_is_followed_by_a_takeover_even_when_it_succeeded(monkeypatch):
    """aiokafka repeats the end of a transaction without a word."""
    clock = Clock()
    monkeypatch.setattr(commit_module, "time", clock)
    made = await transactions()

    async def slowly():
        clock.now += 5.1

    made._producer.commit_transaction = slowly
    with pytest.raises(CommitIndefinite, match=r"took 5\.1 s"):
        await made.commit([], MARKS)


async def test_closing_never_fails():
    """Also when the broker is gone."""
    await (await transactions(KafkaConnectionError("gone"))).close()
