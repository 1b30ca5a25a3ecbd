"""Closes a producer whatever state it and the broker are in: no task and no socket is left.

aiokafka's stop waits for records that nobody takes (aiokafka #1101), and closes the client last. Whoever cuts it off
leaves the client open, and a sender that connects anew for ever.
"""

import asyncio
import contextlib
from itertools import chain
from typing import Any, Final, NoReturn

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from shared.runtime.kafka.kafka_options import KAFKA_FAILURES
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

ABORT_SECONDS: Final = 2.0
#: How often a producer's sender is told to stop.
CANCEL_SECONDS: Final = 0.1


async def stop_producer(producer: AIOKafkaProducer, seconds: float) -> None:
    """Stops it within so many seconds, or else ends it by force within 2 s more. Never fails."""
    _ignore_futures(producer)
    try:
        await run_with_timeout(seconds, producer.stop())
    except KAFKA_FAILURES as error:
        log.debug("producer_not_stopped", reason=repr(error))
        with contextlib.suppress(*KAFKA_FAILURES):
            await run_with_timeout(ABORT_SECONDS, _abort(producer))


def _ignore_futures(producer: Any) -> None:
    """After a failure the futures of its transaction and batches fail, and nobody asks any more how they ended."""
    let_batches_fail(producer)
    accumulator = producer._message_accumulator
    batches = [*accumulator._pending_batches, *chain.from_iterable(accumulator._batches.values())]
    for future in (future for batch in batches for future in (batch.future, batch._drain_waiter)):
        if future is not None:
            future.add_done_callback(_ask)
    expect_failure(producer)


def let_batches_fail(producer: Any) -> None:
    """Lets batches fail that were to be sent again, also when the sender ends by itself. Once for each producer."""
    accumulator = producer._message_accumulator
    if not isinstance(accumulator._pending_batches, _Batches):
        accumulator._pending_batches = _Batches(accumulator._pending_batches)


def expect_failure(producer: Any) -> None:
    """Lets a sender fail while there is no transaction, before the first or after one that has ended.

    Otherwise aiokafka's callback raises AttributeError, or leaves an error behind that nobody asks for.
    """
    manager = producer._txn_manager
    if manager is None:
        return
    if manager._transaction_waiter is None or manager._transaction_waiter.done():
        manager._transaction_waiter = asyncio.get_running_loop().create_future()
    manager._transaction_waiter.add_done_callback(_ask)


class _Batches(set[Any]):
    """Batches of which any may be removed, also one that is not there.

    aiokafka takes a batch that is to be sent again out of the set, and when it fails, removes it once more.
    """

    def remove(self, batch: Any) -> None:
        """Removes it if it is there."""
        self.discard(batch)


def _ask(done: "asyncio.Future[Any]") -> None:
    """How it ended, so that asyncio does not log that nobody asked."""
    if not done.cancelled():
        done.exception()


async def _abort(producer: Any) -> None:
    client, sender = producer.client, producer._sender
    client.send = _refuse
    await client.close()
    if client._md_update_fut is not None and not client._md_update_fut.done():
        client._md_update_fut.set_result(False)  # who waits for news of the cluster waits for ever
    if sender is None:
        return
    producer._message_accumulator.fail_all(KafkaConnectionError("closed"))
    if (task := sender.sender_task) is not None:
        task.add_done_callback(_ask)
        while not task.done():
            task.cancel()  # the first time it waits for its requests, the second time it gives up
            await asyncio.wait([task], timeout=CANCEL_SECONDS)


async def _refuse(*_: object, **__: object) -> NoReturn:
    """Instead of the client's `send`: nothing is sent any more, and no connection is opened."""
    raise KafkaConnectionError("closed")
