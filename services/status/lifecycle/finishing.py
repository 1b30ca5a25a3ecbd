"""Sends JobFinished for every round in which each row has its result, until it has been read back.

A replica does so for the jobs in its partitions of hospital.jobs, once it has read a partition to its end. So tables
that were made again know every JobFinished that exists, and none is sent again. After a crash one may be sent twice,
under the same ce_id.
"""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.lifecycle.manifest import PAGE_ROWS, read_manifest
from services.status.metrics import FINISHES
from services.status.model.job_state import outcome_of
from services.status.projection.positions import Positions
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import batches, jobs
from shared.contract.events import JobFinished
from shared.contract.outcomes_tree import outcomes_root
from shared.runtime.kafka.publisher import KafkaUnavailable, Publisher
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 200
_SEND_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class FinishingLimits:
    """`poll_seconds`: due rounds are looked for this often, also when the projection has not moved."""

    poll_seconds: float = 1.0
    #: The rows of a larger job take seconds to read: smaller jobs do not wait for that.
    large_job_rows: int = 50_000
    page_rows: int = PAGE_ROWS


class Finishing:
    """Looks for due rounds whenever the projection has moved; for those of large jobs in a loop of its own."""

    def __init__(
        self,
        engine: AsyncEngine,
        publisher: Publisher,
        topic: str,
        positions: Positions,
        change_signal: ChangeSignal,
        limits: FinishingLimits = FinishingLimits(),
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._topic = topic
        self._positions = positions
        self._change_signal = change_signal
        self._limits = limits
        #: Event ids that Kafka has acknowledged and the projection has not read back.
        self._sent: dict[bool, set[str]] = {False: set(), True: set()}

    async def run(self) -> None:
        """Sends until cancelled; tries again after any failure of Kafka or the database."""
        await asyncio.gather(self._run(large=False), self._run(large=True))

    async def _run(self, *, large: bool) -> None:
        while True:
            await self._change_signal.wait(self._limits.poll_seconds)
            try:
                await self.send_due(large=large)
            except (SQLAlchemyError, OSError, KafkaUnavailable) as error:
                log.warning("job_finished_waits", reason=str(error) or type(error).__name__)
            except Exception as error:  # a bug, or a driver's own error, must not end the work in silence
                log.error("finishing_fault", exc_info=error)

    async def send_due(self, *, large: bool = False) -> None:
        """Sends what is due now. Raises KafkaUnavailable, SQLAlchemyError or OSError: the rest stays due."""
        partitions = self._positions.caught_up(self._topic)
        if not partitions:
            return
        due = await run_with_timeout(_READ_SECONDS, self._due(partitions, large=large))
        sent = self._sent[large] = self._sent[large] & {finish_id(job) for job in due}
        for job in due:
            if finish_id(job) in sent or (event := await self._event(job)) is None:
                continue
            await self._publisher.send(self._topic, event, _SEND_SECONDS)
            sent.add(event.event_id)
            FINISHES.inc()
            log.info("job_finished", job_id=event.job_id, round=event.round, outcome=event.outcome)

    async def _due(self, partitions: Collection[int], *, large: bool) -> list[Row[Any]]:
        """The jobs in these partitions that wait for their JobFinished, a few hundred at most."""
        size, large_from = jobs.c.total_hospitals, self._limits.large_job_rows
        statement = (
            select(jobs)
            .where(jobs.c.due_round.is_not(None), jobs.c.partition.in_(partitions))
            .where(size > large_from if large else size <= large_from)
            .order_by(jobs.c.partition, jobs.c.job_id)
            .limit(_AT_ONCE)
        )
        async with self._engine.connect() as connection:
            return list(await connection.execute(statement))

    async def _event(self, job: Row[Any]) -> JobFinished | None:
        """The job's JobFinished. None when its rows changed while they were read: it stays due, and is read again."""
        manifest = await read_manifest(self._engine, job.job_id, json.loads(job.columns), self._limits.page_rows)
        if manifest.total != job.total_hospitals:
            return None
        statement = select(batches.c.batch_id).where(batches.c.job_id == job.job_id).order_by(batches.c.position)
        async with self._engine.connect() as connection:
            batch_ids = (await connection.execute(statement)).scalars().all()
        return JobFinished(
            tenant=job.tenant,
            job_id=job.job_id,
            round=job.due_round,
            outcome=outcome_of(manifest.created, manifest.unprocessed, manifest.total),
            total_hospitals=manifest.total,
            created_hospitals=manifest.created,
            failed_hospitals=manifest.failed,
            unprocessed_hospitals=manifest.unprocessed,
            batch_ids=tuple(batch_ids),
            outcomes_sha256=manifest.sha256,
            outcomes_root=outcomes_root(manifest.roots),
            outcome_roots=manifest.roots,
        )


def finish_id(job: Row[Any]) -> str:
    """The id of the event that the job waits for."""
    return f"{job.job_id}:{JobFinished.__name__}:{job.due_round}"
