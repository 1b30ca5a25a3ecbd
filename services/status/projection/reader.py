"""Reads one replica's partitions, always from where the database says."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.caller_priority import CallerPriority
from services.status.projection.lag import Lag
from services.status.projection.positions import Positions
from services.status.tables import stored_offsets
from services.status.tables.stored_offsets import Step
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.rebalances import RebalanceListener
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

_BATCH_RECORDS: Final = 5_000
_YIELD_EVERY_RECORDS: Final = 25
_POLL_MS: Final = 200
_KAFKA_SECONDS: Final = 5.0
_GROUP_COMMIT_SECONDS: Final = 1.0


class RecordsMissing(RuntimeError):
    """Records were deleted before they were projected. Only throwing the tables away and projecting again helps.

    `offsets`: where the projection stands in the partitions that they are missing from.
    """

    def __init__(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.offsets = offsets
        places = ", ".join(f"{each.topic}-{each.partition} at {offset}" for each, offset in offsets.items())
        super().__init__(
            f"Kafka does not have the records that come next ({places}); answers would be wrong from here on. "
            "Run python -m services.status rebuild: it makes the tables again from what there is, and the projection "
            "goes on by itself"
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and how far that takes each partition, also past records that are never delivered."""

    records: Sequence[ConsumerRecord]
    steps: Sequence[Step]


class Reader(RebalanceListener):
    """A consumer in the group `hospital-status`, over results, jobs and processors.

    `clock`: seconds of the monotonic clock.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        engine: AsyncEngine,
        positions: Positions,
        lag: Lag,
        priority: CallerPriority,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = [settings.topics.results, settings.topics.jobs, settings.topics.processors]
        self._engine = engine
        self._positions = positions
        self._lag = lag
        self._priority = priority
        self._clock = clock
        self._group_committed_at = 0.0
        self._consumer = Consumer(
            **kafka_options.consumer_options(settings),
            group_id=settings.topics.group("status"),
            # One owner has the same partition index of results and of jobs.
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
        )

    async def start(self) -> None:
        """Joins the group. Raises one of KAFKA_FAILURES when Kafka cannot be reached."""
        await self._consumer.start()
        self._consumer.subscribe(self._topics, listener=self)

    async def stop(self) -> None:
        """Leaves the group; waits a few seconds at most."""
        self._positions.assign(())
        await self._consumer.stop(_KAFKA_SECONDS)

    def revoke(self) -> None:
        """What was read counts no more. A transaction that is under way succeeds or fails by compare-and-set."""
        self._positions.assign(())

    def assign(self, assigned: set[TopicPartition]) -> None:
        """Only notes them. The heartbeat waits for this, and the database may be slow."""
        self._positions.assign(assigned)
        self._lag.assign(assigned)
        log.info("partitions_assigned", partitions=sorted(f"{each.topic}-{each.partition}" for each in assigned))

    async def read(self) -> Reading:
        """What comes next; waits for it for 0.2 s.

        Raises RecordsMissing when Kafka no longer has it, one of KAFKA_FAILURES when the consumer has to be made anew,
        and whatever the database raises.
        """
        self.check_assignment()
        await self._seek_unplaced()
        found: list[ConsumerRecord] = []
        try:
            await self._fill(found)
        except NoOffsetForPartitionError:
            pass  # of a partition that has just been assigned: it is sought next time
        except OffsetOutOfRangeError as error:
            self._stop_if_ours(error.args[0])
        # Nothing is awaited from here on that could give others the partitions.
        records = [record for record in found if self._positions.holds(TopicPartition(record.topic, record.partition))]
        return Reading(records, self._positions.read(await self._reached()))

    async def _fill(self, found: list[ConsumerRecord]) -> None:
        """Gathers what has arrived, a few records at a time: unpacking them keeps everybody else waiting."""
        timeout = _POLL_MS
        while len(found) < _BATCH_RECORDS:
            some = await self._consumer.getmany(timeout_ms=timeout, max_records=_YIELD_EVERY_RECORDS)
            if not some:
                return
            for records in some.values():
                found += records
            timeout = 0
            await self._priority.yield_to_callers()

    async def keep_membership(self) -> None:
        """Polls while the database is away: else the group drops this member. What it reads is read again later."""
        await self._consumer.getmany(timeout_ms=0, max_records=1)

    def committed(self, reading: Reading) -> None:
        """The database has committed the reading."""
        self._positions.advance(reading.steps)
        ends = self._ends()
        self._lag.measure(self._positions.placed, ends)
        for partition, end in ends.items():
            self._positions.observe_end(partition, end)

    async def commit_to_group(self) -> None:
        """Commits the offsets to Kafka about once a second, for tools that show lag. Nothing reads them."""
        placed = self._positions.placed
        if not placed or self._clock() - self._group_committed_at < _GROUP_COMMIT_SECONDS:
            return
        self._group_committed_at = self._clock()
        with contextlib.suppress(*KAFKA_FAILURES):
            await run_with_timeout(_KAFKA_SECONDS, self._consumer.commit(placed))

    async def _seek_unplaced(self) -> None:
        """Seeks to the stored offsets; to the beginning, explicitly, where nothing was ever stored."""
        unplaced = sorted(self._positions.unplaced)
        if not unplaced:
            return
        known = await run_with_timeout(_KAFKA_SECONDS, self._stored(unplaced))
        for partition, offset in self._positions.place(known).items():
            self._consumer.seek(partition, offset)

    async def _stored(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        async with self._engine.connect() as connection:
            known = await stored_offsets.stored(connection, partitions)
        if unknown := [partition for partition in partitions if partition not in known]:
            beginnings = await self._consumer.beginning_offsets(unknown)
            async with self._engine.begin() as connection:
                await stored_offsets.begin(connection, beginnings)
                known |= await stored_offsets.stored(connection, unknown)
        return known

    async def _reached(self) -> dict[TopicPartition, int]:
        reached = {}
        for partition in self._positions.placed:
            with contextlib.suppress(IllegalStateError):
                reached[partition] = await self._consumer.position(partition)  # known already: does not wait
        return reached

    def _ends(self) -> dict[TopicPartition, int]:
        ends = {each: self._consumer.highwater(each) for each in self._consumer.assignment()}
        return {partition: end for partition, end in ends.items() if end is not None}

    def _stop_if_ours(self, out_of_range: dict[TopicPartition, int]) -> None:
        missing = {each: offset for each, offset in out_of_range.items() if self._positions.holds(each)}
        if missing:
            raise RecordsMissing(missing)
