"""The projection: a batch of events and the offsets it reaches become part of the tables together, or not at all."""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.status import projected_jobs, stored_offsets
from services.status.deliveries import Delivery
from services.status.instants import Micros
from services.status.metrics import COMMIT_SECONDS, RESULTS
from services.status.projected_processors import write_reports
from services.status.projected_rows import write_decisions, write_results
from services.status.results import RowRecord, decision_of, record_of
from services.status.stored_offsets import Step
from shared.events import RowResolved


async def project(engine: AsyncEngine, steps: Sequence[Step], delivery: Delivery) -> None:
    """Applies the events in one transaction with the steps' offsets.

    Raises OffsetsMoved when another replica was there first, SQLAlchemyError or OSError when the database failed:
    then nothing has changed, except that a commit whose answer was lost may have happened. Read the stored offsets.
    """
    with COMMIT_SECONDS.time():
        async with engine.begin() as connection:
            await stored_offsets.advance(connection, steps)
            await _tell(connection, delivery)
    RESULTS.inc(len(delivery.results))


async def _tell(connection: AsyncConnection, delivery: Delivery) -> None:
    results = [record_of(result) for result in delivery.results]
    decisions = [decision_of(event) for _, _, event in delivery.job_events if isinstance(event, RowResolved)]
    touched = {result.job_id for result in results} | {told.event.job_id for told in delivery.job_events}
    if touched:
        jobs = await projected_jobs.lock(connection, touched)
        await write_results(connection, results)
        await write_decisions(connection, decisions)
        projected_jobs.start(jobs, _first_starts(results))
        await projected_jobs.tell(connection, jobs, delivery.job_events)
        await projected_jobs.save(connection, jobs)
    if delivery.reports:
        await write_reports(connection, delivery.reports)


def _first_starts(results: Iterable[RowRecord]) -> dict[str, Micros]:
    first: dict[str, Micros] = {}
    for result in results:
        first[result.job_id] = min(result.started_at, first.get(result.job_id, result.started_at))
    return first
