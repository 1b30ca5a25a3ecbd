"""The projection: a batch of events and the offsets it reaches become part of the tables together, or not at all."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.status.caller_priority import NO_CALLERS, CallerPriority
from services.status.metrics import COMMIT_SECONDS, RESULTS
from services.status.model.row_results import NamedByJob, RowRecord, record_of
from services.status.model.timestamps import Micros
from services.status.projection import chains, job_writes
from services.status.projection.chains import ChainFound
from services.status.projection.event_batch import EventBatch
from services.status.projection.processor_reports import write_reports
from services.status.projection.round_writes import RoundKey, write_rounds
from services.status.projection.row_writes import (
    CountChanges,
    decisions_in_time,
    write_counts,
    write_decisions,
    write_results,
)
from services.status.tables import stored_offsets
from services.status.tables.stored_offsets import Step
from shared.contract.events import RowOutcome

_SLICE: Final = 500
_YIELD_EVERY_RECORDS: Final = 25


async def project(
    engine: AsyncEngine, steps: Sequence[Step], batch: EventBatch, priority: CallerPriority = NO_CALLERS
) -> None:
    """Applies the events in one transaction with the steps' offsets.

    Raises OffsetsMoved when another replica was there first, and SQLAlchemyError or OSError when the database failed.
    Nothing has changed then, unless the answer to the commit was lost: read the stored offsets.
    """
    with COMMIT_SECONDS.time():
        others: set[str] = set()
        while not await _projected(engine, steps, batch, priority, others):
            pass
    RESULTS.inc(len(batch.results))


async def _projected(
    engine: AsyncEngine, steps: Sequence[Step], batch: EventBatch, priority: CallerPriority, others: set[str]
) -> bool:
    """False when the events concern jobs that were not locked: these are `others` now, and nothing has changed."""
    try:
        async with engine.begin() as connection:
            await stored_offsets.advance(connection, steps)
            await _apply(connection, batch, priority, others)
    except ChainFound as found:
        others |= set(found.members)
        return False
    return True


async def _apply(
    connection: AsyncConnection, batch: EventBatch, priority: CallerPriority, others: Collection[str]
) -> None:
    touched = {result.job_id for result in batch.results} | {event.event.job_id for event in batch.job_events}
    if touched:
        jobs = await job_writes.lock(connection, touched, others)
        locked = await chains.load(connection, {*touched, *others}, jobs, batch.job_events)
        counts = CountChanges()
        started = await _write_results(connection, batch.results, counts, priority, locked.named)
        job_writes.start(jobs, started)
        if decisions := decisions_in_time(jobs, batch.job_events):
            counts.add(await write_decisions(connection, decisions, locked.named))
        await write_counts(connection, counts)
        await job_writes.apply_events(connection, jobs, batch.job_events)
        await chains.write_links(connection, locked, jobs)
        times = await write_rounds(connection, jobs, started, batch.job_events)
        await job_writes.save(connection, jobs, locked.links, times)
    if batch.reports:
        await write_reports(connection, batch.reports)


async def _write_results(
    connection: AsyncConnection,
    results: Sequence[RowOutcome],
    counts: CountChanges,
    priority: CallerPriority,
    named: NamedByJob,
) -> dict[RoundKey, Micros]:
    """Slice by slice. Returns when the first rows of the jobs' rounds started."""
    first: dict[RoundKey, Micros] = {}
    for begin in range(0, len(results), _SLICE):
        records = await _records(results[begin : begin + _SLICE], priority)
        for record in records:
            if not record.carried_over:
                key = record.job_id, record.round
                first[key] = min(record.started_at, first.get(key, record.started_at))
        counts.add(await write_results(connection, records, named))
    return first


async def _records(results: Sequence[RowOutcome], priority: CallerPriority) -> list[RowRecord]:
    records: list[RowRecord] = []
    for begin in range(0, len(results), _YIELD_EVERY_RECORDS):
        records += map(record_of, results[begin : begin + _YIELD_EVERY_RECORDS])
        await priority.yield_to_callers()  # thousands at once would keep callers of the API waiting
    return records
