"""Keeps when each round of a job began and ended."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.round_times import JobTimes, RoundTime, job_times
from services.status.model.timestamps import Micros, micros
from services.status.projection.event_batch import PositionedEvent
from services.status.tables.bulk_writes import replacing, write
from services.status.tables.definitions import rounds
from shared.contract.events import JobFinished

#: job_id and round.
RoundKey = tuple[str, int]


async def write_rounds(
    connection: AsyncConnection,
    job_ids: Collection[str],
    started: Mapping[RoundKey, Micros],
    events: Iterable[PositionedEvent],
) -> dict[str, JobTimes]:
    """Keeps what is new, and returns the times of each of the jobs. `started`: when rows of a round were taken up."""
    found = await connection.execute(select(rounds).where(rounds.c.job_id.in_(job_ids)))
    known = {(record.job_id, record.round): RoundTime(*record) for record in found}
    told = [RoundTime(*key, started_at=moment) for key, moment in started.items()]
    told += [
        RoundTime(event.job_id, event.round, finished_at=micros(event.occurred_at))
        for _, _, event in events
        if isinstance(event, JobFinished)
    ]
    merged = dict(known)
    for each in told:
        key = each.job_id, each.round
        merged[key] = merged[key].merged(each) if key in merged else each
    changed = [asdict(each) for key, each in merged.items() if known.get(key) != each]
    await write(connection, rounds, changed, replacing(rounds))
    of_jobs: defaultdict[str, list[RoundTime]] = defaultdict(list)
    for (job_id, _), each in merged.items():
        of_jobs[job_id].append(each)
    return {job_id: job_times(of_jobs[job_id]) for job_id in job_ids}
