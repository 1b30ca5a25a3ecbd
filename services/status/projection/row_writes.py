"""Writes what became of rows, and keeps the counts exact: by the difference between what was there and what is."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.job_facts import JobFacts, apply_event
from services.status.model.row_results import (
    UNKNOWN,
    Decision,
    DecisionKey,
    NamedByJob,
    RowChanges,
    RowKey,
    RowRecord,
    changes,
    changes_by_decision,
    counting,
    decision_of,
)
from services.status.model.throughput import KEPT_SLOTS
from services.status.projection.event_batch import PositionedEvent
from services.status.tables import row_lookup
from services.status.tables.bulk_writes import Conflict, append, replacing, write
from services.status.tables.definitions import pace, resolutions, rows, tallies
from shared.contract.events import RowResolved

_ADDED = Conflict(added=("hospitals",))


@dataclass(frozen=True, slots=True)
class CountChanges:
    """By how much the counts of jobs change in a transaction."""

    tallies: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    pace: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, changed: RowChanges) -> None:
        """More rows were written."""
        self.tallies.update(changed.tallies)
        self.pace.update(changed.pace)


async def write_results(connection: AsyncConnection, results: Sequence[RowRecord], named: NamedByJob) -> RowChanges:
    """Writes those results that change something. Returns by how much the counts change: the caller writes them."""
    stored_rows = await row_lookup.stored_rows(connection, {result.key for result in results})
    unknown = {result.key for result in results if result.error_code == UNKNOWN}
    unknown |= {key for key, stored in stored_rows.items() if stored.error_code == UNKNOWN}
    decisions = await decisions_about(connection, unknown)
    changed = changes(results, stored_rows, decisions, named)
    await _write(connection, changed)
    return changed


def decisions_in_time(facts: Mapping[str, JobFacts], events: Iterable[PositionedEvent]) -> list[Decision]:
    """What people decided about rows before these rows ran again. `facts`: of the jobs before the events.

    A decision that stands behind the request for the next round comes too late: the row belongs to that round, and
    gets its result there.
    """
    now = dict(facts)
    found = []
    for _, offset, event in events:
        if not isinstance(event, RowResolved):
            now[event.job_id] = apply_event(now[event.job_id], event, offset)
        elif event.round >= now[event.job_id].requested_round:
            found.append(decision_of(event))
    return found


async def write_decisions(connection: AsyncConnection, decided: Sequence[Decision], named: NamedByJob) -> RowChanges:
    """Keeps what people decided, and applies it to the rows that are there; to the others when they come."""
    of_rows = {(decision.job_id, decision.row) for decision in decided}
    known = await decisions_about(connection, of_rows)
    decisions = counting([*known.values(), *decided])
    new = [asdict(decision) for key, decision in decisions.items() if known.get(key) != decision]
    await write(connection, resolutions, new, replacing(resolutions))
    changed = changes_by_decision(await row_lookup.records(connection, of_rows), decisions, known, named)
    await _write(connection, changed)
    return changed


async def decisions_about(connection: AsyncConnection, keys: Collection[RowKey]) -> dict[DecisionKey, Decision]:
    """What people decided about these rows."""
    if not keys:
        return {}
    job_ids, numbers = {job_id for job_id, _ in keys}, {row for _, row in keys}
    statement = select(resolutions).where(resolutions.c.job_id.in_(job_ids), resolutions.c.row.in_(numbers))
    found = (Decision(*record) for record in await connection.execute(statement))
    return {decision.key: decision for decision in found}


async def write_counts(connection: AsyncConnection, changed: CountChanges) -> None:
    """Adds to the counts, once a transaction."""
    of_jobs = [
        {"job_id": job_id, "round": round_, "status": status, "hospitals": by}
        for (job_id, round_, status), by in changed.tallies.items()
        if by
    ]
    of_slots = [{"job_id": job_id, "slot": slot, "hospitals": by} for (job_id, slot), by in changed.pace.items() if by]
    await write(connection, tallies, of_jobs, _ADDED)
    await write(connection, pace, of_slots, _ADDED)
    await _drop_zeros(connection, changed)
    await _drop_old_slots(connection, {job_id for job_id, _ in changed.pace})


async def _write(connection: AsyncConnection, changed: RowChanges) -> None:
    # Nobody else writes rows of these jobs meanwhile: their rows in status_jobs are locked.
    await append(connection, rows, changed.new)
    await write(connection, rows, [row._asdict() for row in changed.replacing], replacing(rows))


async def _drop_old_slots(connection: AsyncConnection, job_ids: Collection[str]) -> None:
    """Only the last two minutes of a job tell how fast it goes. A job of weeks would keep millions of seconds."""
    if not job_ids:
        return
    other = pace.alias()
    newest = select(func.max(other.c.slot)).where(other.c.job_id == bindparam("of_job")).scalar_subquery()
    old = delete(pace).where(pace.c.job_id == bindparam("of_job"), pace.c.slot < newest - KEPT_SLOTS)
    await connection.execute(old, [{"of_job": job_id} for job_id in sorted(job_ids)])


async def _drop_zeros(connection: AsyncConnection, changed: CountChanges) -> None:
    """Deletes counts that have come down to 0, so that every order of arrival ends in the same tables."""
    shrunk = {job_id for (job_id, *_), by in changed.tallies.items() if by < 0}
    shrunk |= {job_id for (job_id, _), by in changed.pace.items() if by < 0}
    for table in (tallies, pace) if shrunk else ():
        await connection.execute(delete(table).where(table.c.job_id.in_(shrunk), table.c.hospitals == 0))
