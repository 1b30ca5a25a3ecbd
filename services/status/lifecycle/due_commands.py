"""Gives the commands that no person gives, until they have been read back.

    more rows failed than JobAccepted.max_failures   JobCancelRequested, once for the round
    nothing of a chain of corrections is open        BatchActivationRequested for each batch that holds a hospital

Who gives them is who sends JobFinished: the owner of the job's partition of hospital.jobs, once it has read that to its
end. So one that was killed, and one whose tables were made again, know what was given before. After a crash a command
may be on the topic twice, under the same ce_id.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.model.activation_answers import corrected_request
from services.status.model.job_state import DueCommand
from services.status.model.row_results import RowStatus
from services.status.model.timestamps import Clock
from services.status.projection.positions import Positions
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import history, jobs, rows
from shared.contract.events import BatchActivationRequested, CancelReason, JobCancelRequested, JobEvent, now
from shared.runtime.kafka.publisher import KafkaUnavailable, Publisher
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 200
_SEND_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0


@dataclass(slots=True)
class DueCommands:
    """Looks for due commands whenever the projection has moved.

    `settling_seconds`: lease + time-out + settle time; `poll_seconds`: it looks this often also when nothing has moved.
    """

    engine: AsyncEngine
    publisher: Publisher
    topic: str
    positions: Positions
    change_signal: ChangeSignal
    settling_seconds: float
    clock: Clock = now
    poll_seconds: float = 1.0
    #: Ids of commands that Kafka has acknowledged and the projection has not read back.
    _sent: dict[DueCommand, set[str]] = field(default_factory=lambda: {command: set() for command in DueCommand})

    async def run(self) -> None:
        """Gives commands until cancelled; tries again after any failure of Kafka or the database.

        A job that goes wrong does not wait for a thousand activations.
        """
        await asyncio.gather(*map(self._run, DueCommand))

    async def _run(self, command: DueCommand) -> None:
        while True:
            await self.change_signal.wait(self.poll_seconds)
            try:
                await self.send_due(command)
            except (SQLAlchemyError, OSError, KafkaUnavailable) as error:
                log.warning("due_commands_wait", reason=str(error) or type(error).__name__)
            except Exception as error:  # a bug, or a driver's own error, must not end the work in silence
                log.error("due_commands_fault", exc_info=error)

    async def send_due(self, command: DueCommand) -> None:
        """Gives what is due now. Raises KafkaUnavailable, SQLAlchemyError or OSError: the rest stays due."""
        partitions = self.positions.caught_up(self.topic)
        if not partitions:
            return
        due = [event for job in await self._due(command, partitions) for event in await self._events(job)]
        sent = self._sent[command] = self._sent[command] & {event.event_id for event in due}
        for event in due:
            if event.event_id not in sent:
                await self.publisher.send(self.topic, event, _SEND_SECONDS)
                sent.add(event.event_id)
                log.info("command_given", command=type(event).__name__, job_id=event.job_id)

    async def _due(self, command: DueCommand, partitions: Sequence[int]) -> Sequence[Row[Any]]:
        statement = (
            select(jobs)
            .where(jobs.c.due_command == command.value, jobs.c.due_command.is_not(None))
            .where(jobs.c.partition.in_(partitions))
            .order_by(jobs.c.partition, jobs.c.job_id)
            .limit(_AT_ONCE)
        )
        async with self.engine.connect() as connection:
            return (await run_with_timeout(_READ_SECONDS, connection.execute(statement))).all()

    async def _events(self, job: Row[Any]) -> list[JobEvent]:
        if job.due_command == DueCommand.STOP:
            return [self._cancel(job)]
        request_id = corrected_request(job.finished_round)
        about = {"tenant": job.tenant, "job_id": job.job_id, "request_id": request_id, "occurred_at": self.clock()}
        requests = (BatchActivationRequested(**about, batch_id=each) for each in await self._filled_batches(job.job_id))
        given = await self._given(job.job_id)
        return [request for request in requests if request.event_id not in given]

    def _cancel(self, job: Row[Any]) -> JobCancelRequested:
        at = self.clock()
        return JobCancelRequested(
            tenant=job.tenant,
            job_id=job.job_id,
            round=job.round,
            occurred_at=at,
            settles_at=at + timedelta(seconds=self.settling_seconds),
            reason=CancelReason.MAX_FAILURES,
        )

    async def _filled_batches(self, job_id: str) -> list[str]:
        filled = select(rows.c.batch_id).distinct().where(rows.c.job_id == job_id)
        filled = filled.where(rows.c.status == RowStatus.CREATED.value).order_by(rows.c.batch_id)
        async with self.engine.connect() as connection:
            found = await run_with_timeout(_READ_SECONDS, connection.execute(filled))
            return list(found.scalars())

    async def _given(self, job_id: str) -> set[str]:
        statement = select(history.c.event_id).where(
            history.c.job_id == job_id, history.c.kind == BatchActivationRequested.__name__
        )
        async with self.engine.connect() as connection:
            return set((await run_with_timeout(_READ_SECONDS, connection.execute(statement))).scalars())
