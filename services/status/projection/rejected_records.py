"""Projects a batch although the database refuses some of it: by halves, until the records are found that it refuses.

    batch refused ──> halves, in the order of the topics ──> a single record refused ──> dead letter; its row fails

Each part is a transaction of its own, with the offsets that it reaches. So after a crash in between, the rest is read
again, and nothing comes twice.
"""

from collections.abc import Sequence

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.caller_priority import NO_CALLERS, CallerPriority
from services.status.projection.decoding import Decoder
from services.status.projection.event_batch import EventBatch
from services.status.projection.transaction import project
from services.status.tables.rejected_data import describe_rejection, is_rejected_data
from services.status.tables.stored_offsets import Step

log = structlog.get_logger(__name__)


async def project_records(
    engine: AsyncEngine,
    decoder: Decoder,
    steps: Sequence[Step],
    records: Sequence[ConsumerRecord],
    batch: EventBatch,
    priority: CallerPriority = NO_CALLERS,
) -> None:
    """Projects a batch, which holds what these records say. What the database refuses of it is put aside.

    Raises what `project` raises when the database is away, and KafkaUnavailable when a dead letter cannot be written:
    a part may have been projected then, as the stored offsets say.
    """
    try:
        await project(engine, steps, batch, priority)
    except Exception as error:
        if not is_rejected_data(error):
            raise
        log.warning("batch_rejected", records=len(records), reason=describe_rejection(error), next="by halves")
        await _ByHalves(engine, decoder, steps, priority).project(records)


class _ByHalves:
    """The way through one batch."""

    def __init__(self, engine: AsyncEngine, decoder: Decoder, steps: Sequence[Step], priority: CallerPriority) -> None:
        self._engine = engine
        self._decoder = decoder
        self._priority = priority
        self._at = {TopicPartition(step.topic, step.partition): step.expected for step in steps}
        self._ends = {TopicPartition(step.topic, step.partition): step.reached for step in steps}

    async def project(self, records: Sequence[ConsumerRecord]) -> None:
        if records:
            await self._part(records)
        # Behind the last record there may be some that are never delivered.
        await self._commit(self._ends, EventBatch())

    async def _part(self, records: Sequence[ConsumerRecord]) -> None:
        reached = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        try:
            await self._commit(reached, await self._decoder.decode(records, again=True))
        except Exception as error:
            if not is_rejected_data(error):
                raise
            if len(records) == 1:
                await self._put_aside(records[0], reached, describe_rejection(error))
                return
            middle = len(records) // 2
            await self._part(records[:middle])
            await self._part(records[middle:])

    async def _put_aside(self, record: ConsumerRecord, reached: dict[TopicPartition, int], reason: str) -> None:
        failed = await self._decoder.dead_letter(record, reason)
        await self._commit(reached, EventBatch(results=[failed] if failed else []))

    async def _commit(self, reached: dict[TopicPartition, int], batch: EventBatch) -> None:
        steps = [
            Step(partition.topic, partition.partition, self._at[partition], offset)
            for partition, offset in reached.items()
            if offset != self._at[partition]
        ]
        if steps:
            await project(self._engine, steps, batch, self._priority)
            self._at |= reached
