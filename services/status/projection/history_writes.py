"""Keeps what was asked for and how each round ended, for whoever wants to know who did what to a job, and when."""

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.activation_answers import CORRECTED_REQUEST
from services.status.model.job_facts import JobFacts, Jobs
from services.status.model.timestamps import micros
from services.status.projection.event_batch import PositionedEvent
from services.status.tables.bulk_writes import write
from services.status.tables.definitions import history
from shared.contract.events import (
    BatchActivationRequested,
    JobCancelRequested,
    JobEvent,
    JobFinished,
    JobRetryRequested,
    RowResolved,
)

Entry = dict[str, Any]


def entry_of(event: JobEvent, offset: int, after: JobFacts) -> Entry | None:
    """The event as a row of the table; None for one that does not belong there. `after`: the job's facts after it."""
    match event:
        case JobCancelRequested():
            return _entry(event, offset, event.round, event.requested_by, reason=event.reason.value)
        case JobRetryRequested():
            ignored = (after.requested_round, after.requested_offset) != (event.round, offset)
            return _entry(event, offset, event.round, event.requested_by, codes=event.codes, ignored=ignored)
        case RowResolved():
            about = {"row": event.row, "hospital_id": event.hospital_id}
            return _entry(event, offset, event.round, event.resolved_by, **about)
        case BatchActivationRequested():
            about = {"batch_id": event.batch_id, "request_id": event.request_id}
            return _entry(event, offset, None, event.requested_by, **about)
        case JobFinished():
            counts = {
                "outcome": event.outcome.value,
                "created_hospitals": event.created_hospitals,
                "failed_hospitals": event.failed_hospitals,
                "unprocessed_hospitals": event.unprocessed_hospitals,
            }
            return _entry(event, offset, event.round, "", **counts)
        case _:
            return None


def _entry(event: JobEvent, offset: int, round_: int | None, requested_by: str, **details: object) -> Entry:
    return {
        "job_id": event.job_id,
        "event_id": event.event_id,
        "position": offset,
        "kind": type(event).__name__,
        "round": round_,
        "occurred_at": micros(event.occurred_at),
        "requested_by": requested_by,
        "details": json.dumps(details, ensure_ascii=False),
    }


async def write_history(
    connection: AsyncConnection, known: Jobs, events: Iterable[PositionedEvent], entries: Collection[Entry]
) -> None:
    """Keeps the entries, and counts in the facts which batches are to be activated after a correction."""
    first = {(entry["job_id"], entry["event_id"]): entry for entry in reversed(list(entries))}
    await write(connection, history, list(first.values()))
    for job_id in {event.job_id for _, _, event in events if _follows_a_correction(event)}:
        requested = await connection.execute(
            select(func.count()).where(
                history.c.job_id == job_id,
                history.c.kind == BatchActivationRequested.__name__,
                history.c.event_id.contains(f":{CORRECTED_REQUEST}"),
            )
        )
        known[job_id] = replace(known[job_id], activations_requested=requested.scalar_one())


def _follows_a_correction(event: JobEvent) -> bool:
    return isinstance(event, BatchActivationRequested) and event.request_id.startswith(CORRECTED_REQUEST)
