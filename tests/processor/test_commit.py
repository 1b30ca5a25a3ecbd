"""A lane's transactions: every end is a success, a fence, or a reason to take over."""

import asyncio

import pytest
from aiokafka.errors import IllegalOperation, KafkaConnectionError, ProducerFenced

from services.processor import commit as commit_module
from services.processor.commit import CommitIndefinite, LaneFenced, Ledger
from services.processor.watermark import Watermark
from shared.settings import KafkaSettings
from tests.processor.doubles import Clock


class FakeProducer:
    """Fails where it is told to."""

    def __init__(self, error=None):
        self.error = error
        self.calls = []

    async def begin_transaction(self):
        self.calls.append("begin")

    async def send(self, topic, *, key, value, headers):
        self.calls.append(topic)
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


async def ledger(error=None):
    made = Ledger(KafkaSettings(), 3)
    made._producer = FakeProducer(error)
    return made


MARKS = {"hospital.rows.express": Watermark(1, 1)}


async def test_results_come_first_and_offsets_go_with_them():
    """One transaction."""
    made = await ledger()
    await made.commit([("hospital.results", b"job", b"{}", [])], MARKS)
    assert made._producer.calls == ["begin", "hospital.results", "hospital-processor", "commit"]


async def test_a_send_that_fails_for_good_is_never_committed():
    """aiokafka would commit the transaction without the record."""
    made = await ledger(KafkaConnectionError("gone"))
    with pytest.raises(CommitIndefinite):
        await made.commit([("hospital.results", b"job", b"{}", [])], MARKS)
    assert "commit" not in made._producer.calls


async def test_a_fenced_producer_says_so():
    """The lane is discarded, and does not come back by itself."""
    made = await ledger(ProducerFenced())
    with pytest.raises(LaneFenced, match="lane 3 has another owner"):
        await made.commit([], MARKS)


@pytest.mark.parametrize(
    "error", [IllegalOperation("x"), AssertionError(), RuntimeError("x"), TimeoutError(), OSError()]
)
async def test_whatever_else_happens_nobody_knows_whether_it_was_committed(error):
    """A transaction that was cancelled half-way leaves the producer in a state that aiokafka only asserts against."""
    made = await ledger(error)
    with pytest.raises(CommitIndefinite):
        await made.commit([], MARKS)


async def test_a_slow_commit_is_followed_by_a_takeover_even_when_it_succeeded(monkeypatch):
    """aiokafka repeats the end of a transaction without a word."""
    clock = Clock()
    monkeypatch.setattr(commit_module, "time", clock)
    made = await ledger()

    async def slowly():
        clock.now += 5.1

    made._producer.commit_transaction = slowly
    with pytest.raises(CommitIndefinite, match=r"took 5\.1 s"):
        await made.commit([], MARKS)


async def test_closing_never_fails():
    """Also when the broker is gone."""
    await (await ledger(KafkaConnectionError("gone"))).close()
