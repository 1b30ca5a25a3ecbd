"""Writes what became of rows, and keeps the counts exact: by the difference between what was there and what is."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.row_results import (
    Decision,
    DecisionKey,
    RowChanges,
    RowRecord,
    changes,
    changes_by_decision,
    latest,
)
from services.status.tables import row_lookup
from services.status.tables.bulk_writes import Conflict, append, replacing, write
from services.status.tables.definitions import pace, resolutions, rows, tallies

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


async def write_results(
    connection: AsyncConnection, results: Sequence[RowRecord], decisions: dict[DecisionKey, Decision]
) -> RowChanges:
    """Writes those results that change something. Returns by how much the counts change: the caller writes them."""
    stored_rows = await row_lookup.stored_rows(connection, {result.key for result in results})
    changed = changes(results, stored_rows, decisions)
    await _write(connection, changed)
    return changed


async def write_decisions(connection: AsyncConnection, decided: Sequence[Decision]) -> RowChanges:
    """Keeps what people decided, and applies it to the rows that are there; to the others when they come."""
    known = await decisions_about(connection, {decision.job_id for decision in decided})
    decisions = latest([*known.values(), *decided])
    await write(connection, resolutions, [asdict(each) for each in decisions.values()], replacing(resolutions))
    stored = await row_lookup.records(connection, {(decision.job_id, decision.row) for decision in decided})
    changed = changes_by_decision(stored, decisions, known)
    await _write(connection, changed)
    return changed


async def decisions_about(connection: AsyncConnection, job_ids: Iterable[str]) -> dict[DecisionKey, Decision]:
    """What people decided about rows of these jobs."""
    found = await connection.execute(select(resolutions).where(resolutions.c.job_id.in_(job_ids)))
    return latest(Decision(*record) for record in found)


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


async def _write(connection: AsyncConnection, changed: RowChanges) -> None:
    # Nobody else writes rows of these jobs meanwhile: their rows in status_jobs are locked.
    await append(connection, rows, changed.new)
    await write(connection, rows, [row._asdict() for row in changed.replacing], replacing(rows))


async def _drop_zeros(connection: AsyncConnection, changed: CountChanges) -> None:
    """Deletes counts that have come down to 0, so that every order of arrival ends in the same tables."""
    shrunk = {job_id for (job_id, *_), by in changed.tallies.items() if by < 0}
    shrunk |= {job_id for (job_id, _), by in changed.pace.items() if by < 0}
    for table in (tallies, pace) if shrunk else ():
        await connection.execute(delete(table).where(table.c.job_id.in_(shrunk), table.c.hospitals == 0))
