"""Loads jobs for a transaction, applies events to them, and writes what follows."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.activation_answers import BatchAnswer, answer_of
from services.status.model.corrections import Link
from services.status.model.job_facts import JobFacts, Jobs, apply_event
from services.status.model.job_state import DerivedState, derive_state
from services.status.model.round_times import NO_TIMES, JobTimes
from services.status.model.timestamps import Micros
from services.status.projection import activation_writes, chains
from services.status.projection.event_batch import PositionedEvent
from services.status.projection.history_writes import entry_of, write_history
from services.status.projection.round_writes import RoundKey
from services.status.tables.bulk_writes import replacing, write
from services.status.tables.definitions import batches, jobs, tallies
from shared.contract.events import BatchActivated, BatchActivationFailed, JobAccepted

_FACTS = [jobs.c[field.name] for field in fields(JobFacts)]


async def lock(connection: AsyncConnection, job_ids: Collection[str], others: Collection[str] = ()) -> Jobs:
    """The jobs, made when they are new; no other replica writes them until the transaction ends.

    `others`: jobs that are to be locked as well, if there are such.
    """
    new = [_row(JobFacts(job_id), derive_state(JobFacts(job_id), {})) for job_id in sorted(job_ids)]
    # Always in the same order, so that two replicas cannot wait for each other.
    wanted = jobs.c.job_id.in_(sorted({*job_ids, *others}))
    while True:  # once, unless the retention deleted one between the two statements
        await write(connection, jobs, new)
        statement = select(*_FACTS).where(wanted).order_by(jobs.c.job_id).with_for_update()
        found = {record.job_id: JobFacts(*record) for record in await connection.execute(statement)}
        if found.keys() >= set(job_ids):
            return found


def start(known: Jobs, started: Mapping[RoundKey, Micros]) -> None:
    """Notes when the jobs' first rows were taken up: that is when a job started."""
    for (job_id, _), moment in started.items():
        before = known[job_id].started_at
        known[job_id] = replace(known[job_id], started_at=moment if before is None else min(before, moment))


async def apply_events(connection: AsyncConnection, known: Jobs, events: Sequence[PositionedEvent]) -> None:
    """Applies events about the jobs and their batches to the facts, and writes batches, answers and history."""
    answers: list[BatchAnswer] = []
    entries = []
    finished = {job_id: facts.finished_round for job_id, facts in known.items()}
    for partition, offset, event in events:
        known[event.job_id] = replace(apply_event(known[event.job_id], event, offset), partition=partition)
        if isinstance(event, JobAccepted):
            await _write_batches(connection, event)
        elif isinstance(event, BatchActivated | BatchActivationFailed):
            answers.append(answer_of(event))
        elif (entry := entry_of(event, offset, known[event.job_id])) is not None:
            entries.append(entry)
    again = {job_id for job_id, round_ in finished.items() if known[job_id].finished_round != round_}
    await write_history(connection, known, events, entries)
    await activation_writes.write_answers(connection, known, answers, again)


async def save(
    connection: AsyncConnection, known: Jobs, links: Collection[Link], times: Mapping[str, JobTimes]
) -> None:
    """Writes the jobs, and what follows from their facts and counts. `times`: of each of them."""
    found = await connection.execute(select(tallies).where(tallies.c.job_id.in_(list(known))))
    counts: defaultdict[str, dict[tuple[int, str], int]] = defaultdict(dict)
    for job_id, round_, status, hospitals in found:
        counts[job_id][round_, status] = hospitals
    states = {job_id: derive_state(facts, counts[job_id]) for job_id, facts in known.items()}
    states = await chains.settle(connection, known, states, links)
    values = [_row(facts, states[job_id], times[job_id]) for job_id, facts in known.items()]
    await write(connection, jobs, values, replacing(jobs))


def _row(facts: JobFacts, state: DerivedState, times: JobTimes = NO_TIMES) -> dict[str, object]:
    return asdict(facts) | asdict(state) | asdict(times)


async def _write_batches(connection: AsyncConnection, event: JobAccepted) -> None:
    values = [
        {"batch_id": batch_id, "job_id": event.job_id, "position": position}
        for position, batch_id in enumerate(event.batch_ids)
    ]
    await write(connection, batches, values)
