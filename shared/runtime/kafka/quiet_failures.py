"""What of a client may fail although nobody waits for it. aiokafka's callbacks trip over it, or asyncio complains.

- a producer's sender, while there is no transaction: before the first, after one that has ended, or without any
- a transaction that was given up
- batches that were given up, or that were to be sent again
- a consumer's commit that was given up
- a producer's sender whose request Kafka refused: logged in a line, without a stack

None of these is an error of ours: whoever still waits hears of it.
"""

import asyncio
import logging
from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager

from shared.runtime.kafka.failures import KAFKA_FAILURES, ClientEnded

_SENDER_LOG = logging.getLogger("aiokafka.producer.sender")


def expect_failures(producer: Any) -> None:
    """Lets all of it fail without a complaint. For an AIOKafkaProducer that has not started."""
    _SENDER_LOG.addFilter(_kafka_failure_in_a_line)
    given = producer._message_accumulator
    manager = producer._txn_manager
    if manager is not None:
        manager = QuietTransactions(manager.transactional_id, manager.transaction_timeout_ms)
        producer._txn_manager = producer._sender._txn_manager = manager
    producer._message_accumulator = producer._sender._message_accumulator = QuietAccumulator(
        given._cluster,
        given._batch_size,
        given._compression_type,
        given._batch_ttl,
        txn_manager=manager,
        loop=given._loop,
        linger_ms=1000 * given._linger_time,
    )


def _kafka_failure_in_a_line(record: logging.LogRecord) -> bool:
    """Takes the stack off a record about what Kafka refused. It ends the sender, and whoever sends hears of it.

    A producer that we end by force says nothing.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ClientEnded) or isinstance(error and error.__cause__, ClientEnded):
        return False
    if isinstance(error, KAFKA_FAILURES):
        record.msg, record.args = f"{record.getMessage()}: {error!r}", ()
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


def expect_failed_commits(consumer: Any) -> None:
    """Lets a commit fail that was given up. For an AIOKafkaConsumer that has started."""
    coordinator = consumer._coordinator
    if not isinstance(coordinator, GroupCoordinator):
        return
    commit = coordinator._do_commit_offsets

    def commit_offsets(*arguments: Any) -> "asyncio.Task[None]":
        # aiokafka shields it: it goes on when the caller is cancelled.
        committing = asyncio.create_task(commit(*arguments))
        _asked(committing)
        return committing

    coordinator._do_commit_offsets = commit_offsets


class QuietTransactions(TransactionManager):  # type: ignore[misc]  # aiokafka has no types
    """Transactions of which nobody has to ask how they ended."""

    _waiter: "asyncio.Future[None] | None" = None

    @property
    def _transaction_waiter(self) -> "asyncio.Future[None] | None":
        return self._waiter

    @_transaction_waiter.setter
    def _transaction_waiter(self, waiter: "asyncio.Future[None] | None") -> None:
        self._waiter = _asked(waiter) if waiter is not None else None

    def add_offsets_to_txn(self, offsets: Any, group_id: str) -> "asyncio.Future[None]":
        """The future that tells whether they were added."""
        return _asked(super().add_offsets_to_txn(offsets, group_id))

    def fatal_error(self, exc: BaseException) -> None:
        """The sender has failed, maybe before the first transaction: aiokafka expects that there is one."""
        if self._waiter is None:
            self._transaction_waiter = asyncio.get_running_loop().create_future()
        super().fatal_error(exc)


class QuietAccumulator(MessageAccumulator):  # type: ignore[misc]  # aiokafka has no types
    """Batches of which nobody has to ask how they ended."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pending_batches = _Pending()

    async def add_batch(self, builder: Any, tp: Any, timeout: float) -> "asyncio.Future[Any]":
        """The future of the batch, as it was."""
        return _asked(await super().add_batch(builder, tp, timeout))

    def reenqueue(self, batch: Any) -> None:
        """It is to be sent again."""
        super().reenqueue(batch)
        _asked(batch._drain_waiter)

    def _append_batch(self, builder: Any, tp: Any) -> Any:
        batch = super()._append_batch(builder, tp)
        _asked(batch.future)
        _asked(batch._drain_waiter)
        return batch


class _Pending(set[Any]):
    """Batches of which any may be removed, also one that is not there.

    aiokafka takes a batch that is to be sent again out of the set, and when it fails, removes it once more.
    """

    def remove(self, batch: Any) -> None:
        """Removes it if it is there."""
        self.discard(batch)


def _asked(future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
    future.add_done_callback(_ask)
    return future


def _ask(done: "asyncio.Future[Any]") -> None:
    if not done.cancelled():
        done.exception()
