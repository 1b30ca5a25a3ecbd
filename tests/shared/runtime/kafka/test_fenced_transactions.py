"""Transactions that fence: every end is a success, a fence, or a reason to take over."""

import asyncio
from contextlib import suppress

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    ProducerFenced,
    RequestTimedOutError,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.structs import OffsetAndMetadata

from shared.runtime.kafka.fenced_transactions import CLOSE_SECONDS, CommitIndefinite, Fenced, FencedTransactions


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeProducer:
    """Fails where it is told to."""

    def __init__(self, error=None, batch_bytes=16_384):
        self.error = error
        self.batch_bytes = batch_bytes
        self.client = FakeClient()
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

    async def stop(self, seconds):
        self.calls.append(("stop", seconds))


class FakeClient:
    """A connection. `answers` are what its requests end with; then they are answered."""

    def __init__(self):
        self.answers = []

    async def send(self, node_id, request, *, group=None):
        answer = self.answers.pop(0) if self.answers else "done"
        if isinstance(answer, BaseException):
            raise answer
        return answer


OFFSETS = {TopicPartition("hospital.rows.express", 3): OffsetAndMetadata(1, "")}


def transactions(producer, clock=Clock()):  # noqa: B008 - nobody moves this one
    return FencedTransactions(producer, "hospital-processor", "lane 3", clock)


async def test_results_come_first_and_offsets_go_with_them():
    """One transaction."""
    producer = FakeProducer()
    await transactions(producer).commit([("hospital.results", b"job", b"{}", [])], OFFSETS)
    assert producer.calls == ["begin", "hospital.results", "hospital-processor", "commit"]


async def test_what_goes_to_a_partition_goes_together_in_order():
    """The partition is the one in which every Kafka client puts this key; dead letters without a key go anywhere."""
    producer = FakeProducer()
    records = [("hospital.results", b"job", b"%d" % number, [("ce_id", b"1")]) for number in range(3)]
    await transactions(producer).commit([*records, ("hospital.dead-letters", None, b"?", [])], OFFSETS)
    (results, dead_letters) = producer.sent
    assert results == ("hospital.results", DefaultPartitioner()(b"job", range(6), range(6)), 3)
    assert dead_letters[0] == "hospital.dead-letters"


async def test_what_is_too_much_for_a_batch_goes_in_several():
    """A record that is too large for any goes alone."""
    producer = FakeProducer(batch_bytes=300)
    records = [("hospital.results", b"job", b"x" * size, []) for size in (100, 100, 1000, 100)]
    await transactions(producer).commit(records, OFFSETS)
    assert [records for _, _, records in producer.sent] == [2, 1, 1]


async def test_a_send_that_fails_for_good_is_never_committed():
    """aiokafka would commit the transaction without the record."""
    producer = FakeProducer(KafkaConnectionError("gone"))
    with pytest.raises(CommitIndefinite):
        await transactions(producer).commit([("hospital.results", b"job", b"{}", [])], OFFSETS)
    assert "commit" not in producer.calls


async def test_a_fenced_producer_says_so():
    """The lane is discarded, and does not come back by itself."""
    with pytest.raises(Fenced, match="lane 3 has another owner"):
        await transactions(FakeProducer(ProducerFenced())).commit([], OFFSETS)


@pytest.mark.parametrize(
    "error", [IllegalOperation("x"), AssertionError(), RuntimeError("x"), TimeoutError(), OSError()]
)
async def test_whatever_else_happens_nobody_knows_whether_it_was_committed(error):
    """A transaction that was cancelled half-way leaves the producer in a state that aiokafka only asserts against."""
    with pytest.raises(CommitIndefinite):
        await transactions(FakeProducer(error)).commit([], OFFSETS)


async def test_a_slow_commit_is_followed_by_a_takeover_even_when_it_succeeded():
    """aiokafka repeats the end of a transaction without a word."""
    clock, producer = Clock(), FakeProducer()

    async def slowly():
        clock.now += 5.1

    producer.commit_transaction = slowly
    with pytest.raises(CommitIndefinite, match=r"took 5\.1 s"):
        await transactions(producer, clock).commit([], OFFSETS)


async def test_a_commit_that_was_cut_off_is_the_last_one():
    """Its records are in no other place: a further commit could move the offsets past them."""
    producer = FakeProducer()
    asked = asyncio.Event()

    async def never(*_):
        asked.set()
        await asyncio.Event().wait()

    producer.send_offsets_to_transaction = never
    made = transactions(producer)
    commit = asyncio.create_task(made.commit([], OFFSETS))
    await asked.wait()
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    with pytest.raises(CommitIndefinite, match="an earlier commit did not return"):
        await made.commit([], OFFSETS)


async def committing(*answers, request=None):
    """A commit whose end is asked for until it is answered, as aiokafka does."""
    producer = FakeProducer()
    made = transactions(producer)
    producer.client.answers = list(answers)

    async def ask_until_answered():
        while True:
            with suppress(KafkaError):
                answer = await producer.client.send(0, request or EndTxnRequest("id", 1, 1, True))
                if answer == "done":
                    return

    producer.commit_transaction = ask_until_answered
    await made.commit([], OFFSETS)


@pytest.mark.parametrize(
    "request_",
    [
        AddPartitionsToTxnRequest("id", 1, 1, []),
        AddOffsetsToTxnRequest("id", 1, 1, "group"),
        EndTxnRequest("id", 1, 1, True),
        TxnOffsetCommitRequest("id", "group", 1, 1, []),
    ],
    ids=lambda request: type(request).__name__,
)
@pytest.mark.parametrize("error", [RequestTimedOutError(), KafkaConnectionError("reset")], ids=["late", "reset"])
async def test_a_request_that_was_sent_again_makes_the_commit_indefinite(request_, error):
    """However quick it was: the first one may reach the broker in the middle of the next transaction."""
    with pytest.raises(CommitIndefinite, match="sent again without an answer"):
        await committing(error, request=request_)


async def test_a_refusal_is_an_answer():
    """The broker is still busy with the transaction before: nothing of it can come late."""
    await committing("CONCURRENT_TRANSACTIONS", "COORDINATOR_LOAD_IN_PROGRESS")


async def test_what_was_never_sent_cannot_come_late():
    """There was no connection to the coordinator yet. Metadata requests are of no transaction."""
    await committing(NodeNotReadyError())
    await committing(RequestTimedOutError(), request=MetadataRequest([]))


async def test_closing_waits_for_no_broker():
    """A lane that is lost is taken over by somebody else: what is under way is given up soon."""
    producer = FakeProducer()
    await transactions(producer).close()
    assert producer.calls == [("stop", CLOSE_SECONDS)]
