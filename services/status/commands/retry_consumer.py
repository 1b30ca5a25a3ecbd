"""Carries out the retries that are requested on hospital.jobs, each once, whichever replica took the command.

    group hospital-orders · topic hospital.jobs · read_committed
    Acknowledged by Kafka: the rows of a new round and the offset of its request are written in one transaction of the
    partition's owner. An owner begins with a takeover, as of a lane.

Cancels and activations are not carried out here: the processors read them themselves.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.commands.retry_partition import RetryPartition
from services.status.commands.retry_transactions import PURPOSE, RetryProgress
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.fenced_transactions import CommitIndefinite, Fenced
from shared.runtime.kafka.rebalances import RebalanceListener
from shared.runtime.kafka.topic_admin import wait_for_topics
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

_POLL_MS: Final = 200
_RETRY_SECONDS: Final = 1.0
_KAFKA_SECONDS: Final = 5.0
_SESSION_SECONDS: Final = 6.0


class RetriesMissing(RuntimeError):
    """Retries were deleted before they were carried out. The message says what to do."""


class RetryConsumer(RebalanceListener):
    """This replica's partitions of hospital.jobs. `clock`: seconds of the monotonic clock."""

    def __init__(
        self,
        settings: KafkaSettings,
        engine: AsyncEngine,
        make_partition: Callable[[KafkaSettings, AsyncEngine, TopicPartition], RetryPartition] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._make_partition = make_partition or partial(RetryPartition, clock=clock)
        self._clock = clock
        self._partitions: dict[TopicPartition, RetryPartition] = {}
        #: Assigned, and to be taken over from this monotonic time on.
        self._to_take_over: dict[TopicPartition, float] = {}
        self._lost: dict[TopicPartition, str] = {}
        #: No longer ours, or not yet: to be closed by the loop.
        self._closing: list[RetryPartition] = []
        self._consumer: Consumer | None = None

    async def run(self) -> None:
        """Works until cancelled; begins again after any failure of Kafka."""
        while True:
            try:
                await wait_for_topics(self._settings)
                await self._consume()
            except KAFKA_FAILURES as error:
                log.warning("retry_consumer_restarts", reason=str(error) or type(error).__name__)
            except Exception as error:  # a bug must not end the work in silence
                log.error("retry_consumer_fault", exc_info=error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def check(self) -> str:
        """Which partitions are owned here. Raises RetriesMissing when one of them stands still for good."""
        if self._lost:
            raise RetriesMissing("; ".join(self._lost.values()))
        return f"{len(self._partitions)} partitions of hospital.jobs here"

    # ---- ownership ---------------------------------------------------------------------------------------------------

    def revoke(self) -> None:
        """Nothing here is ours any more. A transaction that is under way ends, or is fenced by the next owner."""
        self._give_up()

    def assign(self, assigned: set[TopicPartition]) -> None:
        """Only notes them: the heartbeat waits for this."""
        self._give_up()
        if self._consumer is not None and assigned:
            self._consumer.pause(*assigned)
            self._to_take_over = dict.fromkeys(assigned, 0.0)

    def _give_up(self) -> None:
        self._closing += self._partitions.values()
        self._partitions, self._to_take_over, self._lost = {}, {}, {}

    async def _close_former(self) -> None:
        closing, self._closing = self._closing, []
        await asyncio.gather(*(partition.close() for partition in closing))

    async def _take_over(self, consumer: Consumer) -> None:
        now, assignment = self._clock(), self._to_take_over
        for at in [at for at, due in assignment.items() if due <= now]:
            partition = self._make_partition(self._settings, self._engine, at)
            self._closing.append(partition)  # unless it becomes ours
            try:
                progress = await partition.take_over(consumer) or await _beginning(consumer, at)
            except (*KAFKA_FAILURES, ValueError) as error:
                log.warning("takeover_failed", partition=at.partition, reason=repr(error), next="again")
                assignment[at] = self._clock() + _RETRY_SECONDS
                continue
            if self._to_take_over is not assignment:
                return  # A rebalance came in between. Who got the partition back may not be its first owner since.
            del assignment[at]
            partition.start(progress)
            self._closing.remove(partition)
            self._partitions[at] = partition
            consumer.seek(at, progress.offset)
            log.info("retries_taken_over", partition=at.partition, offset=progress.offset, row=progress.row)

    def _discard(self, at: TopicPartition, partition: RetryPartition, wait: float) -> None:
        """The partition has to be taken over again, unless a rebalance has given it to somebody else."""
        if self._partitions.get(at) is partition:
            self._closing.append(self._partitions.pop(at))
            self._to_take_over[at] = self._clock() + wait

    # ---- work --------------------------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        self._consumer = consumer = Consumer(
            **kafka_options.consumer_options(self._settings),
            group_id=self._settings.topics.group(PURPOSE),
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=int(_SESSION_SECONDS * 1000),
            heartbeat_interval_ms=2_000,
        )
        try:
            await consumer.start()
            consumer.subscribe([self._settings.topics.jobs], listener=self)
            busy = False
            while True:
                await self._close_former()
                await self._take_over(consumer)
                await self._poll(consumer, 0 if busy else _POLL_MS)
                busy = await self._work()
        finally:
            self._consumer = None
            self._give_up()
            await asyncio.gather(self._close_former(), consumer.stop(_KAFKA_SECONDS))

    async def _poll(self, consumer: Consumer, timeout_ms: int) -> None:
        """Also while everything is paused: a group drops a member that does not poll."""
        self.check_assignment()
        self._pause_and_resume(consumer)
        try:
            found = await consumer.getmany(timeout_ms=timeout_ms)
        except NoOffsetForPartitionError:
            return  # of a partition that has just been assigned
        except OffsetOutOfRangeError as error:
            self._lose(error.args[0])
            return
        for at, partition in list(self._partitions.items()):
            with contextlib.suppress(IllegalStateError):  # a rebalance has just begun
                position = await consumer.position(at)  # known already: does not wait
                partition.admit(found.get(at, []), position)

    def _pause_and_resume(self, consumer: Consumer) -> None:
        """Only partitions that are taken over, and have nothing to do, are read."""
        assigned, paused = consumer.assignment(), consumer.paused()
        wanted = {at for at, partition in self._partitions.items() if not partition.busy}
        consumer.pause(*(assigned - wanted - paused))
        consumer.resume(*(wanted & paused))

    async def _work(self) -> bool:
        """One step for each partition, so that a large retry does not hold up the others."""
        busy = False
        for at, partition in list(self._partitions.items()):
            try:
                busy |= await partition.step()
            except Fenced as error:
                # Whoever fenced us is the rightful owner, unless we are still assigned when the group has settled.
                log.warning("retries_fenced", partition=at.partition, reason=str(error))
                self._discard(at, partition, _SESSION_SECONDS)
            except CommitIndefinite as error:
                log.warning("retries_indefinite", partition=at.partition, reason=str(error), next="takeover")
                self._discard(at, partition, 0.0)
            except (SQLAlchemyError, OSError) as error:
                log.warning("retries_wait", partition=at.partition, reason=str(error) or type(error).__name__)
        return busy

    def _lose(self, out_of_range: dict[TopicPartition, int]) -> None:
        for at, offset in out_of_range.items():
            if at in self._partitions:
                self._closing.append(self._partitions.pop(at))
                self._lost[at] = (
                    f"offset {offset} of {at.topic}-{at.partition} is not in the topic any more: retries were deleted "
                    f"before they were carried out. Move the offset of group {self._settings.topics.group(PURPOSE)} "
                    "on purpose."
                )
                log.error("retries_missing", partition=at.partition, reason=self._lost[at])


async def _beginning(consumer: Consumer, at: TopicPartition) -> RetryProgress:
    beginnings = await run_with_timeout(_KAFKA_SECONDS, consumer.beginning_offsets([at]))
    return RetryProgress(beginnings[at])
