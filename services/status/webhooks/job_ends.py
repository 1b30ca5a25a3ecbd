"""Waits until the tables say that a job has finished: JobFinished is read here earlier, and its activation comes later.

However many jobs are waited for, they share one question a tick.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, select

from services.status.model.job_state import FINAL
from services.status.model.timestamps import Clock, moment
from services.status.queries.read_database import ReadDatabase
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import jobs
from shared.runtime.http.problems import Problem

log = structlog.get_logger(__name__)

_READ_SECONDS: Final = 5.0
_AT_ONCE: Final = 500
_FINAL: Final = frozenset(status.value for status in FINAL)


@dataclass(frozen=True, slots=True)
class JobEnd:
    """When the job finished; None when nobody knows the job any more."""

    at: datetime | None


@dataclass(frozen=True, slots=True)
class _Wait:
    job_id: str
    round: int
    #: From then on a job that the tables do not know is gone.
    gone_from: datetime


class JobEnds:
    """`poll_seconds`: other replicas project too, and are not heard."""

    def __init__(
        self, database: ReadDatabase, change_signal: ChangeSignal, clock: Clock, poll_seconds: float = 2.0
    ) -> None:
        self._database = database
        self._change_signal = change_signal
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._waits: dict[asyncio.Future[JobEnd], _Wait] = {}

    async def end_of(self, job_id: str, round_: int, gone_from: datetime) -> JobEnd:
        """Returns when the round has ended in the tables, or a later one has begun."""
        end: asyncio.Future[JobEnd] = asyncio.get_running_loop().create_future()
        self._waits[end] = _Wait(job_id, round_, gone_from)
        try:
            return await end
        finally:
            del self._waits[end]

    async def run(self) -> None:
        """Looks until cancelled; after any failure it looks again."""
        while True:
            await self._change_signal.wait(self._poll_seconds)
            try:
                await self.look()
            except Problem as problem:
                log.warning("webhooks_wait", reason=problem.detail)
            except Exception as error:  # a bug, or a driver's own error, must not end the work in silence
                log.error("webhook_fault", exc_info=error)

    async def look(self) -> None:
        """Looks once. Raises a 503 problem when the database is away."""
        waits = list(self._waits.items())
        for begin in range(0, len(waits), _AT_ONCE):
            some = waits[begin : begin + _AT_ONCE]
            ids = sorted({wait.job_id for _, wait in some})
            found = await self._database.read(partial(_ends, job_ids=ids), _READ_SECONDS)
            for end, wait in some:
                answer = self._answer(wait, found.get(wait.job_id))
                if answer is not None and not end.done():
                    end.set_result(answer)

    def _answer(self, wait: _Wait, job: "_Job | None") -> JobEnd | None:
        """None while it has to be waited for."""
        if job is None:
            return JobEnd(None) if self._clock() >= wait.gone_from else None
        if job.round > wait.round:
            return JobEnd(job.finished_at or self._clock())
        if job.finished_round >= wait.round and job.status in _FINAL:
            return JobEnd(job.completed_at or self._clock())
        return None


@dataclass(frozen=True, slots=True)
class _Job:
    round: int
    finished_round: int
    status: str
    completed_at: datetime | None
    finished_at: datetime | None


def _ends(connection: Connection, job_ids: Sequence[str]) -> dict[str, _Job]:
    statement = select(
        jobs.c.job_id, jobs.c.round, jobs.c.finished_round, jobs.c.status, jobs.c.completed_at, jobs.c.finished_at
    ).where(jobs.c.job_id.in_(job_ids), jobs.c.created_at.is_not(None))
    return {
        job_id: _Job(round_, finished_round, status, *(None if at is None else moment(at) for at in times))
        for job_id, round_, finished_round, status, *times in connection.execute(statement)
    }
