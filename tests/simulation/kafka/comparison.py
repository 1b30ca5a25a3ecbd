"""The same random transactions on any Kafka: what each step answered, and what readers see in the end.

The steps are sequences of what aiokafka's producers can do, and of requests that come late or twice. Old producers go
on after newer ones with the same transactional id have fenced them.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, TxnOffsetCommitRequest
from aiokafka.structs import OffsetAndMetadata

from shared.runtime.timeouts import run_with_timeout

STEPS = 40
ANSWER_SECONDS = 8.0
CONCURRENT_TRANSACTIONS = 51
TRANSACTIONAL_IDS = ("a", "b")


@dataclass
class Seen:
    """What a schedule showed."""

    #: Each step with what it answered.
    answers: list[tuple[str, str]] = field(default_factory=list)
    #: By isolation level and partition: offset and value of each record, and the end offset.
    records: dict[tuple[str, int], list[tuple[int, bytes]]] = field(default_factory=dict)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    #: By partition: what the group has committed.
    committed: dict[int, tuple[int, str]] = field(default_factory=dict)


class Schedule:
    """One schedule on one Kafka. `topic` has two partitions, and nobody else writes there."""

    def __init__(self, seed: int, bootstrap: str, topic: str) -> None:
        self.seen = Seen()
        self._chance = random.Random(seed)
        self._bootstrap = bootstrap
        self._topic = topic
        self._producers: list[tuple[str, AIOKafkaProducer]] = []
        self._values = 0

    async def run(self) -> Seen:
        """Carries out all steps, ends what is open, and reads."""
        await self._until_coordinator_is_there()
        await self._open()
        for _ in range(STEPS):
            step = self._chance.choices(list(_STEPS), list(_STEPS.values()))[0]
            await self._note(step)
        for name in TRANSACTIONAL_IDS:
            await self._open(name)
        for isolation in ("read_committed", "read_uncommitted"):
            await self._read(isolation)
        await self._read_committed_offsets()
        for _, producer in self._producers:
            with contextlib.suppress(Exception):  # a producer that was fenced cannot always be stopped
                await run_with_timeout(2.0, producer.stop())
        return self.seen

    async def _note(self, step: str) -> None:
        try:
            answer = await run_with_timeout(ANSWER_SECONDS, getattr(self, f"_{step}")())
        except Exception as error:  # noqa: BLE001 - whatever it is, the other Kafka has to lead to the same
            answer = type(error).__name__
        self.seen.answers.append((step, str(answer)))

    # ---- what producers do -------------------------------------------------------------------------------------------

    async def _open(self, name: str | None = None) -> None:
        name = name or self._chance.choice(TRANSACTIONAL_IDS)
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            transactional_id=f"{self._topic}-{name}",
            transaction_timeout_ms=60_000,
            request_timeout_ms=5_000,
        )
        await producer.start()
        self._producers.append((name, producer))

    def _any(self) -> AIOKafkaProducer:
        """Mostly one of the newest."""
        return self._chance.choice(self._producers[-2:] if self._chance.random() < 0.8 else self._producers)[1]

    async def _begin(self) -> None:
        await self._any().begin_transaction()

    async def _send(self) -> int:
        producer, partition = self._any(), self._chance.randrange(2)
        self._values += 1
        sent = await producer.send_and_wait(self._topic, f"{self._values}".encode(), partition=partition)
        return sent.offset

    async def _offsets(self) -> None:
        producer, partition = self._any(), self._chance.randrange(2)
        self._values += 1
        offsets = {TopicPartition(self._topic, partition): OffsetAndMetadata(self._values, f"metadata {self._values}")}
        await producer.send_offsets_to_transaction(offsets, self._topic)

    async def _commit(self) -> None:
        producer = self._any()
        await producer.commit_transaction()
        await self._end_again(producer, commit=True)

    async def _abort(self) -> None:
        producer = self._any()
        await producer.abort_transaction()
        await self._end_again(producer, commit=False)

    # ---- what comes late ---------------------------------------------------------------------------------------------

    async def _late_commit(self) -> int:
        return await self._late_end(commit=True)

    async def _late_abort(self) -> int:
        return await self._late_end(commit=False)

    async def _late_end(self, *, commit: bool) -> int:
        return await self._end_again(self._any(), commit=commit)

    async def _end_again(self, producer: AIOKafkaProducer, *, commit: bool) -> int:
        """The first request may end a transaction; the second one is answered when its markers are written."""
        first = await self._end_raw(producer, commit=commit)
        await self._end_raw(producer, commit=commit)
        return first

    async def _end_raw(self, producer: AIOKafkaProducer, *, commit: bool) -> int:
        manager, send = self._raw(producer)
        while True:
            request = EndTxnRequest(manager.transactional_id, manager.producer_id, manager.producer_epoch, commit)
            response = await send(request)
            if response.error_code != CONCURRENT_TRANSACTIONS:
                return response.error_code
            await asyncio.sleep(0.02)

    async def _late_partition(self) -> int:
        manager, send = self._raw(self._any())
        topics = [(self._topic, [self._chance.randrange(2)])]
        while True:
            response = await send(
                AddPartitionsToTxnRequest(manager.transactional_id, manager.producer_id, manager.producer_epoch, topics)
            )
            error = response.errors[0][1][0][1]
            if error != CONCURRENT_TRANSACTIONS:
                return error
            await asyncio.sleep(0.02)

    async def _late_offsets(self) -> int:
        manager, send = self._raw(self._any())
        self._values += 1
        topics = [(self._topic, [(self._chance.randrange(2), self._values, "late")])]
        request = TxnOffsetCommitRequest(
            manager.transactional_id, self._topic, manager.producer_id, manager.producer_epoch, topics
        )
        return (await send(request)).errors[0][1][0][1]

    @staticmethod
    def _raw(producer: AIOKafkaProducer) -> tuple[Any, Any]:
        """Sends requests past aiokafka's own state, to the coordinator."""

        async def send(request: Any) -> Any:
            sender = producer._sender
            node = await sender._find_coordinator(CoordinationType.TRANSACTION, producer._txn_manager.transactional_id)
            return await producer.client.send(node, request, group=ConnectionGroup.COORDINATION)

        return producer._txn_manager, send

    async def _until_coordinator_is_there(self) -> None:
        """A new broker makes the topic of offsets when somebody looks for a group's coordinator, and not before."""
        async with asyncio.timeout(60):
            while not self.seen.committed:
                try:
                    await self._read_committed_offsets()
                except KafkaError:
                    await asyncio.sleep(0.2)

    # ---- what readers see --------------------------------------------------------------------------------------------

    async def _read(self, isolation: str) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, isolation_level=isolation, auto_offset_reset="none"
        )
        await consumer.start()
        try:
            where = [TopicPartition(self._topic, index) for index in range(2)]
            consumer.assign(where)
            await consumer.seek_to_beginning(*where)
            ends = await consumer.end_offsets(where)
            while any([await consumer.position(each) < ends[each] for each in where]):
                for at, records in (await consumer.getmany(timeout_ms=200)).items():
                    found = self.seen.records.setdefault((isolation, at.partition), [])
                    found += [(record.offset, record.value) for record in records]
            self.seen.ends |= {(isolation, at.partition): end for at, end in ends.items()}
        finally:
            await consumer.stop()

    async def _read_committed_offsets(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            where = [TopicPartition(self._topic, index) for index in range(2)]
            found = await admin.list_consumer_group_offsets(self._topic, partitions=where)
            self.seen.committed = {at.partition: (commit.offset, commit.metadata) for at, commit in found.items()}
        finally:
            await admin.close()


_STEPS = {
    "open": 3,
    "begin": 10,
    "send": 12,
    "offsets": 5,
    "commit": 8,
    "abort": 4,
    "late_commit": 1,
    "late_abort": 1,
    "late_partition": 1,
    "late_offsets": 1,
}
