"""Sends JobFinished for every round in which each row has its result, until it has been read back.

The owner of a partition of hospital.jobs does so for its jobs, and only once it has read that partition to its end: a
rebuild finds every JobFinished that exists, and sends none again. After a crash one may be sent twice, with one ce_id.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

import structlog
from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.status.changes import Changes
from services.status.job_life import outcome_of
from services.status.metrics import FINISHES
from services.status.positions import Positions
from services.status.publisher import KafkaUnavailable, Publisher
from services.status.tables import batches, jobs
from shared.events import JobFinished
from shared.patience import within

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 200
_LOOK_AGAIN_SECONDS: Final = 1.0
_SEND_SECONDS: Final = 10.0
_TURN_SECONDS: Final = 60.0


class Finishing:
    """Looks for rounds that are due whenever the projection has moved."""

    def __init__(
        self, engine: AsyncEngine, publisher: Publisher, topic: str, positions: Positions, changes: Changes
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._topic = topic
        self._positions = positions
        self._changes = changes
        #: Event ids that Kafka has acknowledged and the projection has not read back.
        self._sent: set[str] = set()

    async def run(self) -> None:
        """Sends until cancelled; tries again after any failure of Kafka or the database."""
        while True:
            await self._changes.wait(_LOOK_AGAIN_SECONDS)
            try:
                await within(_TURN_SECONDS, self.send_due())
            except (SQLAlchemyError, OSError, KafkaUnavailable) as error:
                log.warning("job_finished_waits", reason=str(error) or type(error).__name__)

    async def send_due(self) -> None:
        """Sends what is due now. Raises KafkaUnavailable, SQLAlchemyError or OSError: the rest stays due."""
        partitions = self._positions.caught_up(self._topic)
        if not partitions:
            return
        async with self._engine.connect() as connection:
            due = await due_events(connection, partitions)
        self._sent &= {event.event_id for event in due}
        for event in due:
            if event.event_id not in self._sent:
                await self._publisher.send(self._topic, event, _SEND_SECONDS)
                self._sent.add(event.event_id)
                FINISHES.inc()
                log.info("job_finished", job_id=event.job_id, round=event.round, outcome=event.outcome)


async def due_events(connection: AsyncConnection, partitions: Collection[int]) -> list[JobFinished]:
    """The events that jobs in these partitions wait for, a few hundred at most."""
    statement = (
        select(jobs)
        .where(jobs.c.due_round.is_not(None), jobs.c.partition.in_(partitions))
        .order_by(jobs.c.partition, jobs.c.job_id)
        .limit(_AT_ONCE)
    )
    due = list(await connection.execute(statement))
    batch_ids = await _batch_ids(connection, [job.job_id for job in due])
    return [_event(job, tuple(batch_ids[job.job_id])) for job in due]


async def _batch_ids(connection: AsyncConnection, job_ids: Collection[str]) -> defaultdict[str, list[str]]:
    statement = select(batches).where(batches.c.job_id.in_(job_ids)).order_by(batches.c.job_id, batches.c.position)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for batch_id, job_id, _position in await connection.execute(statement):
        found[job_id].append(batch_id)
    return found


def _event(job: Row[Any], batch_ids: tuple[str, ...]) -> JobFinished:
    return JobFinished(
        tenant=job.tenant,
        job_id=job.job_id,
        round=job.due_round,
        outcome=outcome_of(job.created_hospitals, job.unprocessed_hospitals, job.total_hospitals),
        total_hospitals=job.total_hospitals,
        created_hospitals=job.created_hospitals,
        failed_hospitals=job.failed_hospitals,
        unprocessed_hospitals=job.unprocessed_hospitals,
        batch_ids=batch_ids,
    )
