"""Kafka transactions that one owner at a time may make: of a lane, or of a partition of retries.

    open      fences every earlier owner: whatever they begin or commit from then on fails
    commit    records and consumed offsets become visible together, or not at all
    close     the producer is gone, whatever state it and the broker are in

After anything but a clear success nobody knows what was committed. The owner is thrown away then, and the next one
reads what there is. These transactions refuse to go on: the records of a commit that did not return are nowhere else.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from aiokafka import TopicPartition
from aiokafka.errors import NodeNotReadyError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from shared.contract.cloud_events import Headers
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Producer
from shared.runtime.kafka.partitions import partition_of
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

TRANSACTION_TIMEOUT_MS: Final = 10_000
#: A commit that took longer may have reached the broker in another order than it was sent: take over again.
SLOW_COMMIT_SECONDS: Final = 5.0
#: Opening, and a commit, are given up after so long.
ANSWER_SECONDS: Final = 9.0
CLOSE_SECONDS: Final = 2.0
#: AddPartitionsToTxn, AddOffsetsToTxn, EndTxn and TxnOffsetCommit: what aiokafka sends again until it is answered.
TRANSACTIONAL_REQUESTS: Final = frozenset({24, 25, 26, 28})
#: What a commit writes to a partition mostly fits in one batch; with aiokafka's 16 KiB one waits for the other.
BATCH_BYTES: Final = 256 * 1024

#: Topic, key, value and headers of a record.
OutgoingRecord = tuple[str, bytes | None, bytes | None, Headers]


class Fenced(RuntimeError):
    """Another owner has taken over: throw this one away, and do not come back on your own."""


class CommitIndefinite(RuntimeError):
    """Nobody knows whether the commit happened: take over again and see."""


class FencedTransactions:
    """The transactional producer of one owner, and the consumer group whose offsets it commits.

    `owner`: for log lines and errors. `clock`: seconds of the monotonic clock.
    """

    def __init__(self, producer: Producer, group: str, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._producer = producer
        self._group = group
        self._owner = owner
        self._clock = clock
        #: Why nothing more can be committed.
        self._broken: str | None = None
        self._requests = _TransactionalRequests(producer.client)

    @classmethod
    def of(
        cls, settings: KafkaSettings, name: str, group: str, owner: str, clock: Callable[[], float] = time.monotonic
    ) -> Self:
        """Not connected yet. `name`: the transactional id without the installation's prefix, such as `processor-3`."""
        producer = Producer(
            **kafka_options.producer_options(settings),
            transactional_id=settings.topics.transactional_id(name),
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES,
        )
        return cls(producer, group, owner, clock)

    async def open(self) -> None:
        """Fences every former owner. Raises one of KAFKA_FAILURES, TimeoutError after 9 s: try again later."""
        await run_with_timeout(ANSWER_SECONDS, self._producer.start())

    async def commit(
        self, records: Sequence[OutgoingRecord], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> float:
        """Writes the records and the offsets in one transaction; returns how many seconds that took.

        Raises Fenced, or CommitIndefinite for everything else that goes wrong or takes longer than 5 s. Whatever it
        raises, also when it is cancelled: nobody knows what was committed, and every further commit is refused.
        """
        if self._broken is not None:
            raise CommitIndefinite(f"an earlier commit did not return: {self._broken}")
        self._broken = "it was cancelled"
        try:
            seconds = await self._attempt(records, offsets)
        except Exception as error:
            self._broken = str(error)
            raise
        self._broken = None
        return seconds

    async def _attempt(
        self, records: Sequence[OutgoingRecord], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> float:
        began = self._clock()
        self._requests.begin_transaction()
        try:
            await run_with_timeout(ANSWER_SECONDS, self._transaction(records, offsets))
        except ProducerFenced as error:
            raise Fenced(f"{self._owner} has another owner") from error
        except Exception as error:
            # aiokafka asserts where a transaction was cancelled half-way, and not all of its errors are KafkaErrors.
            raise CommitIndefinite(repr(error)) from error
        seconds = self._clock() - began
        if seconds > SLOW_COMMIT_SECONDS:
            raise CommitIndefinite(f"the commit took {seconds:.1f} s")
        if self._requests.unanswered:
            raise CommitIndefinite(f"sent again without an answer: {', '.join(self._requests.unanswered)}")
        return seconds

    async def close(self) -> None:
        """Lets go of the producer within 4 s, also when the broker is gone: no task and no socket is left.

        It goes on when the caller is cancelled.
        """
        await self._producer.stop(CLOSE_SECONDS)

    async def _transaction(
        self, records: Sequence[OutgoingRecord], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        batches = await self._batches(records)
        await self._producer.begin_transaction()
        # A batch that fails for good does not abort the transaction by itself: each one is kept and awaited.
        sends = [
            await self._producer.send_batch(batch, topic, partition=partition) for topic, partition, batch in batches
        ]
        # gather looks at every one of them: after a fence they all fail, not only the first.
        await asyncio.gather(*sends)
        await self._producer.send_offsets_to_transaction(offsets, self._group)
        await self._producer.commit_transaction()

    async def _batches(self, records: Sequence[OutgoingRecord]) -> list[tuple[str, int, BatchBuilder]]:
        """The records as batches by topic and partition, in order: sent one by one, each costs a future and a hash."""
        batches: list[tuple[str, int, BatchBuilder]] = []
        partitions: dict[tuple[str, bytes | None], int] = {}
        open_batches: dict[tuple[str, int], BatchBuilder] = {}
        for topic, key, value, headers in records:
            if (topic, key) not in partitions:
                partitions[topic, key] = await self._partition(topic, key)
            where = topic, partitions[topic, key]
            batch = open_batches.get(where)
            if batch is None or batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                batch = open_batches[where] = self._producer.create_batch()
                batches.append((*where, batch))
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        return batches

    async def _partition(self, topic: str, key: bytes | None) -> int:
        """By the key; without one, any will do."""
        partitions = await self._producer.partitions_for(topic)
        return min(partitions) if key is None else partition_of(key, len(partitions))


class _TransactionalRequests:
    """The requests of a client. Those of transactions that it got no answer to are noted: aiokafka sends them again.

    The first of them may still be under way: it may reach the broker in the middle of the *next* transaction of the
    same producer. An answer that refuses is an answer: nothing of it can arrive later.
    """

    def __init__(self, client: Any) -> None:
        #: What was not answered since the transaction began.
        self.unanswered: list[str] = []
        self._send = client.send
        client.send = self._watched

    def begin_transaction(self) -> None:
        """A transaction begins."""
        self.unanswered.clear()

    async def _watched(self, node_id: int, request: Any, **options: Any) -> Any:
        try:
            return await self._send(node_id, request, **options)
        except NodeNotReadyError:
            raise  # there was no connection, so nothing was sent
        except BaseException:
            if request.API_KEY in TRANSACTIONAL_REQUESTS:
                self.unanswered.append(type(request).__name__)
            raise
