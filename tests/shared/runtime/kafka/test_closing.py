"""A producer's sender may fail while there is no transaction: aiokafka's own callback trips over that."""

import asyncio
import gc
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaError
from aiokafka.producer.transaction_manager import TransactionManager

from shared.runtime.kafka.closing import expect_failure, stop_producer


@pytest.mark.parametrize("transactions", [0, 1])
async def test_a_sender_that_fails_between_transactions_is_nobody_s_error(transactions):
    """Before the first there is no future to fail, after one a new future fails that nobody asks for."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    manager = TransactionManager("processor-0", 10_000)
    manager.set_pid_and_epoch(1, 0)
    for _ in range(transactions):
        manager.begin_transaction()
        manager.committing_transaction()
        manager.complete_transaction()
    expect_failure(SimpleNamespace(_txn_manager=manager))
    manager.fatal_error(KafkaError("the broker is gone"))
    await asyncio.sleep(0)
    del manager
    gc.collect()
    assert complaints == []


async def test_a_transaction_that_is_under_way_is_left_to_whoever_waits_for_it():
    """Its future still tells how it ended."""
    manager = TransactionManager("processor-0", 10_000)
    manager.set_pid_and_epoch(1, 0)
    manager.begin_transaction()
    under_way = manager._transaction_waiter
    expect_failure(SimpleNamespace(_txn_manager=manager))
    manager.fatal_error(KafkaError("the broker is gone"))
    with pytest.raises(KafkaError):
        await under_way


class FakeBatch:
    """A batch of records, and the future that tells what became of it."""

    _drain_waiter = None

    def __init__(self, future):
        self.future = future


async def test_a_batch_that_was_to_be_sent_again_fails_without_a_complaint():
    """aiokafka has taken it out of the set of batches under way, and its callback removes it once more."""
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    accumulator = SimpleNamespace(_pending_batches=set(), _batches={})
    batch = FakeBatch(loop.create_future())
    batch.future.add_done_callback(lambda _: accumulator._pending_batches.remove(batch))
    accumulator._batches["hospital.results"] = [batch]

    async def stop():
        batch.future.set_exception(KafkaError("closed"))

    await stop_producer(SimpleNamespace(_message_accumulator=accumulator, _txn_manager=None, stop=stop), 1)
    await asyncio.sleep(0)
    assert complaints == []
