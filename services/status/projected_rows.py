"""Writes what became of rows, and keeps the counts exact: by the difference between what was there and what is."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from operator import attrgetter

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status import row_lookup
from services.status.bulk_writes import Conflict, replacing, write
from services.status.results import Decision, DecisionKey, RowChanges, RowRecord, changes, changes_by_decision, latest
from services.status.tables import pace, resolutions, rows, tallies

_ADDED = Conflict(added=("hospitals",))
_NAMES = [field.name for field in fields(RowRecord)]
_values = attrgetter(*_NAMES)


async def write_results(connection: AsyncConnection, results: Sequence[RowRecord]) -> None:
    """Writes those results that are news."""
    if not results:
        return
    standings = await row_lookup.standings(connection, {result.key for result in results})
    decisions = await _decisions(connection, {result.job_id for result in results})
    await _write(connection, changes(results, standings, decisions))


async def write_decisions(connection: AsyncConnection, decided: Sequence[Decision]) -> None:
    """Keeps what people decided, and settles the rows that are there; the others are settled when they come."""
    if not decided:
        return
    known = await _decisions(connection, {decision.job_id for decision in decided})
    decisions = latest([*known.values(), *decided])
    await write(connection, resolutions, [asdict(each) for each in decisions.values()], replacing(resolutions))
    stored = await row_lookup.records(connection, {(decision.job_id, decision.row) for decision in decided})
    await _write(connection, changes_by_decision(stored, decisions))


async def _decisions(connection: AsyncConnection, job_ids: Iterable[str]) -> dict[DecisionKey, Decision]:
    found = await connection.execute(select(resolutions).where(resolutions.c.job_id.in_(job_ids)))
    return latest(Decision(*record) for record in found)


async def _write(connection: AsyncConnection, changed: RowChanges) -> None:
    if not changed.rows:
        return
    values = [dict(zip(_NAMES, _values(row), strict=True)) for row in changed.rows]
    await write(connection, rows, values, replacing(rows))
    await write(
        connection,
        tallies,
        [
            {"job_id": job_id, "round": round_, "status": status, "hospitals": by}
            for (job_id, round_, status), by in changed.tallies.items()
            if by
        ],
        _ADDED,
    )
    await write(
        connection,
        pace,
        [{"job_id": job_id, "slot": slot, "hospitals": by} for (job_id, slot), by in changed.pace.items() if by],
        _ADDED,
    )
    await _drop_zeros(connection, changed)


async def _drop_zeros(connection: AsyncConnection, changed: RowChanges) -> None:
    """A count that has come down to nothing leaves no trace, so that every order of arrival ends in the same tables."""
    shrunk = {job_id for (job_id, *_), by in changed.tallies.items() if by < 0}
    shrunk |= {job_id for (job_id, _), by in changed.pace.items() if by < 0}
    for table in (tallies, pace) if shrunk else ():
        await connection.execute(delete(table).where(table.c.job_id.in_(shrunk), table.c.hospitals == 0))
