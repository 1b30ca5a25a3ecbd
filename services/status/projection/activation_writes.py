"""Writes the directory's answers about batches, and counts them: each answer costs the same, however many there are."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.activation_answers import (
    AnswerKey,
    BatchAnswer,
    automatic_requests,
    collected,
    counted,
    recounted,
)
from services.status.model.job_facts import JobFacts, Jobs
from services.status.tables.bulk_writes import replacing, write
from services.status.tables.definitions import activations

_OfJobs = dict[str, list[BatchAnswer]]


async def write_answers(
    connection: AsyncConnection, known: Jobs, answers: Collection[BatchAnswer], finished: Collection[str]
) -> None:
    """Writes the answers that say something new, and counts them in the facts.

    `finished`: jobs whose last JobFinished is another one now. Other refusals count for them, so all are counted anew.
    """
    stored = await _stored(connection, {answer.batch_id for answer in answers})
    merged = collected([*stored.values(), *answers])
    changed = [answer for key, answer in merged.items() if stored.get(key) != answer]
    await write(connection, activations, [asdict(answer) for answer in changed], replacing(activations))
    before, after = _by_job(stored.values()), _by_job(merged.values())
    for job_id in {answer.job_id for answer in changed} | set(finished):
        facts = known[job_id]
        few = None if job_id in finished else recounted(facts, before[job_id], after[job_id])
        if few is None:
            known[job_id] = counted(facts, await _all_of(connection, job_id))
        elif few.batches_refused or facts.batches_refused:
            known[job_id] = replace(few, refusal=await _refusal(connection, few))
        else:
            known[job_id] = few


async def _stored(connection: AsyncConnection, batch_ids: Collection[str]) -> dict[AnswerKey, BatchAnswer]:
    if not batch_ids:
        return {}
    found = await connection.execute(select(activations).where(activations.c.batch_id.in_(batch_ids)))
    return {answer.key: answer for answer in (BatchAnswer(*record) for record in found)}


async def _all_of(connection: AsyncConnection, job_id: str) -> list[BatchAnswer]:
    found = await connection.execute(select(activations).where(activations.c.job_id == job_id))
    return [BatchAnswer(*record) for record in found]


async def _refusal(connection: AsyncConnection, facts: JobFacts) -> str | None:
    """The directory's words about the first batch that is still refused."""
    other = activations.alias()
    statement = (
        select(activations.c.message)
        .where(activations.c.job_id == facts.job_id, activations.c.request_id.in_(automatic_requests(facts)))
        .where(~activations.c.activated)
        .where(~exists().where(other.c.batch_id == activations.c.batch_id, other.c.activated))
        .order_by(activations.c.batch_id)
        .limit(1)
    )
    return (await connection.execute(statement)).scalar_one_or_none()


def _by_job(answers: Iterable[BatchAnswer]) -> _OfJobs:
    of_job: defaultdict[str, list[BatchAnswer]] = defaultdict(list)
    for answer in answers:
        of_job[answer.job_id].append(answer)
    return of_job
