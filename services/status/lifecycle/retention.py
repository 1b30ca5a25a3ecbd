"""Finished jobs are deleted after JOB_RETENTION_DAYS, with all their rows, in small steps.

    finished ──old enough──> hidden, as if its JobAccepted had never been read ──> rows, some at a time ──> gone

A job is hidden first and at once, so nobody sees a half of it. An event that comes late changes or makes a hidden job,
which is deleted later. So are results whose JobAccepted the housekeeping has deleted: after a rebuild the tables hold
them as a hidden job.

Each replica deletes jobs of its partitions of hospital.jobs, once it has read a partition to its end. Until then the
JobAccepted of a hidden job may still be to come. Two replicas that delete at the same time do no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.status.metrics import DELETED
from services.status.model.job_state import FINAL, JobStatus
from services.status.model.timestamps import Micros, micros
from services.status.projection.positions import Positions
from services.status.tables.definitions import (
    activations,
    batches,
    corrections,
    history,
    jobs,
    pace,
    resolutions,
    rounds,
    rows,
    tallies,
)
from shared.contract.events import now

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 200
_PAUSE_SECONDS: Final = 0.05
_DAY: Final = 86_400 * 1_000_000
_FINAL: Final = sorted(status.value for status in FINAL)
#: What JobAccepted said, and what followed from it.
_HIDDEN: Final[dict[str, Any]] = dict.fromkeys(
    (
        *("tenant", "file_name", "searched", "file_sha256", "total_hospitals", "batches", "columns", "delimiter"),
        *("fields", "express", "max_failures", "created_at", "outcome", "completed_at", "due_round", "due_command"),
    )
) | {"status": JobStatus.PROCESSING.value, "activated": False}


async def _pause() -> None:
    await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class DeletionSteps:
    """How many rows are deleted in one transaction, and what is waited for after each of them."""

    rows: int = 2_000
    #: So that the projection and SQLite's other writers get their turn.
    pause: Callable[[], Awaitable[None]] = _pause


STEPS: Final = DeletionSteps()


class Retention:
    """Deletes what is too old, for as long as the process lives. It looks every `poll_seconds`."""

    def __init__(
        self,
        engine: AsyncEngine,
        positions: Positions,
        topic: str,
        partition_of: Callable[[str], int],
        days: float,
        poll_seconds: float = 60.0,
    ) -> None:
        self._engine = engine
        self._positions = positions
        self._topic = topic
        self._partition_of = partition_of
        self._days = days
        self._poll_seconds = poll_seconds

    async def run(self) -> None:
        """Looks once a minute until cancelled; a database that is away is asked again the next time."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await delete_expired(
                    self._engine,
                    oldest(self._days),
                    lambda job_id: self._partition_of(job_id) in self._positions.caught_up(self._topic),
                )
            except (SQLAlchemyError, OSError) as error:
                log.warning("retention_waits", reason=str(error) or type(error).__name__)
            except Exception as error:  # a bug, or a driver's own error, must not end the work in silence
                log.error("retention_fault", exc_info=error)


def oldest(days: float) -> Micros:
    """Jobs that finished before this moment are to be deleted now."""
    return micros(now()) - int(days * _DAY)


async def delete_expired(
    engine: AsyncEngine, before: Micros, ours: Callable[[str], bool], steps: DeletionSteps = STEPS
) -> int:
    """Deletes those of our jobs that finished before that moment, and hidden ones that began before it.

    Returns how many. Raises SQLAlchemyError or OSError: what is left is deleted the next time.
    """
    await _hide(engine, before, ours)
    async with engine.connect() as connection:
        found = (await connection.execute(select(jobs.c.job_id).where(_hidden(before)))).scalars()
        hidden = [job_id for job_id in found if ours(job_id)]
    deleted = 0
    for job_id in hidden:
        await _delete_rows(engine, job_id, steps)
        if await _delete_job(engine, job_id, before):
            deleted += 1
            DELETED.inc()
            log.info("job_deleted", job_id=job_id)
    await _delete_links(engine, ours)
    return deleted


async def _hide(engine: AsyncEngine, before: Micros, ours: Callable[[str], bool]) -> None:
    expired = and_(
        jobs.c.status.in_(_FINAL),
        jobs.c.completed_at < before,
        jobs.c.created_at.is_not(None),
        jobs.c.due_command.is_(None),
        ~_corrects_another(),
        jobs.c.job_id.not_in(_with_running_corrections()),
    )
    async with engine.connect() as connection:
        found = [
            each for each in (await connection.execute(select(jobs.c.job_id).where(expired))).scalars() if ours(each)
        ]
    for begin in range(0, len(found), _AT_ONCE):
        async with engine.begin() as connection:
            # Asked again for each: a retry may have come meanwhile.
            statement = update(jobs).where(expired, jobs.c.job_id.in_(found[begin : begin + _AT_ONCE]))
            await connection.execute(statement.values(_HIDDEN))


def _corrects_another() -> ColumnElement[bool]:
    """A correction is kept as long as what it corrects: else nobody would know of what is open there."""
    other = jobs.alias()
    there = other.c.job_id == corrections.c.corrects, other.c.tenant == jobs.c.tenant, other.c.job_id != jobs.c.job_id
    return exists().where(corrections.c.job_id == jobs.c.job_id, *there)


def _with_running_corrections() -> Select[str]:
    """Jobs of whose chain something still runs: when it has ended well, their hospitals are to be activated."""
    running, corrected = jobs.alias(), jobs.alias()
    is_running = running.c.created_at.is_not(None), running.c.status.not_in(_FINAL)
    is_one = corrected.c.job_id == corrections.c.corrects, corrected.c.tenant == corrections.c.tenant
    first = (
        select(corrections.c.corrects.label("job_id"))
        .join(running, and_(running.c.job_id == corrections.c.job_id, *is_running))
        .join(corrected, and_(*is_one))
        .where(corrections.c.job_id != corrections.c.corrects)
        .cte("held", recursive=True)
    )
    before = select(corrections.c.corrects).join(first, first.c.job_id == corrections.c.job_id)
    return select(first.union(before.join(corrected, and_(*is_one))).c.job_id)


def _hidden(before: Micros) -> ColumnElement[bool]:
    return and_(jobs.c.created_at.is_(None), func.coalesce(jobs.c.started_at, 0) < before)


async def _delete_rows(engine: AsyncEngine, job_id: str, steps: DeletionSteps) -> None:
    """Step by step in the order of the file: so no step has to walk past what an earlier one deleted."""
    # Tables that were made again meanwhile may hold the job whole.
    still_hidden = exists().where(jobs.c.job_id == job_id, jobs.c.created_at.is_(None))
    done: int | None = 0
    while done is not None:
        async with engine.begin() as connection:
            of_job = rows.c.job_id == job_id, rows.c.row > done
            done = await _last_of_step(connection, of_job, steps.rows)
            step = of_job if done is None else (*of_job, rows.c.row <= done)
            await connection.execute(delete(rows).where(*step, still_hidden))
        await steps.pause()


async def _last_of_step(
    connection: AsyncConnection, of_job: Collection[ColumnElement[bool]], step_rows: int
) -> int | None:
    statement = select(rows.c.row).where(*of_job).order_by(rows.c.row).offset(step_rows).limit(1)
    found: int | None = (await connection.execute(statement)).scalar_one_or_none()
    return found


async def _delete_job(engine: AsyncEngine, job_id: str, before: Micros) -> bool:
    """Deletes the rest of a job without rows. False when a late result has come: then the job is deleted next time."""
    gone = jobs.c.job_id == job_id, _hidden(before), ~exists().where(rows.c.job_id == job_id)
    async with engine.begin() as connection:
        if (await connection.execute(delete(jobs).where(*gone))).rowcount != 1:
            return False
        for table in (batches, activations, resolutions, tallies, pace, rounds, history):
            await connection.execute(delete(table).where(table.c.job_id == job_id))
        # Its own link stays: the rows that it names must not run again in a job that is still there.
        await connection.execute(delete(corrections).where(corrections.c.corrects == job_id))
    return True


async def _delete_links(engine: AsyncEngine, ours: Callable[[str], bool]) -> None:
    """Deletes links whose own job is gone, and whose other job is none: unknown, or of another tenant.

    By the owner of the other job's partition: only it knows that this one is not still to be read.
    """
    own, other = jobs.alias(), jobs.alias()
    is_other = other.c.job_id == corrections.c.corrects, other.c.tenant == corrections.c.tenant
    alone = ~exists().where(own.c.job_id == corrections.c.job_id), ~exists().where(*is_other)
    async with engine.connect() as connection:
        links = await connection.execute(select(corrections.c.job_id, corrections.c.corrects).where(*alone))
        found = [link.job_id for link in links if ours(link.corrects)]
    for begin in range(0, len(found), _AT_ONCE):
        async with engine.begin() as connection:
            some = corrections.c.job_id.in_(found[begin : begin + _AT_ONCE])
            await connection.execute(delete(corrections).where(some, *alone))
