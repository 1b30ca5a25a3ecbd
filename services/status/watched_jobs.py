"""How the jobs are that people ask for and watch: one statement, however many jobs and however many people."""

from collections.abc import Collection
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.answers import JobAnswer, JobSummary
from services.status.instants import Micros, micros
from services.status.job_answers import job_in_full, summary
from services.status.job_queries import JobRow, first_recent_slot, rate, visible
from services.status.tables import batches, jobs, pace, processors
from services.status.tenants import Tenant
from shared.events import ProcessorReported, now

_REPORTS: Final = TypeAdapter(list[ProcessorReported])


async def job_answer(connection: AsyncConnection, tenant: Tenant, job_id: str) -> JobAnswer | None:
    """A job in full; None when the tenant has none of that id, or it is not known yet."""
    for job, short in await _found(connection, tenant, [job_id]):
        return await job_in_full(connection, job, short)
    return None


async def summaries(connection: AsyncConnection, tenant: Tenant, job_ids: Collection[str]) -> dict[str, JobSummary]:
    """Those jobs that the tenant has; the others are left out."""
    return {short.job_id: short for _, short in await _found(connection, tenant, job_ids)}


async def _found(
    connection: AsyncConnection, tenant: Tenant, job_ids: Collection[str]
) -> list[tuple[JobRow, JobSummary]]:
    at = micros(now())
    first_batch = select(batches.c.batch_id).where(batches.c.job_id == jobs.c.job_id, batches.c.position == 0)
    recent = (pace.c.job_id == jobs.c.job_id) & (pace.c.slot >= first_recent_slot(at))
    statement = (
        visible(tenant)
        .where(jobs.c.job_id.in_(job_ids))
        .add_columns(
            first_batch.scalar_subquery().label("first_batch"),
            select(func.sum(pace.c.hospitals)).where(recent).scalar_subquery().label("recent_hospitals"),
            select(func.min(pace.c.slot)).where(recent).scalar_subquery().label("oldest_slot"),
            select(func.aggregate_strings(processors.c.report, ",")).scalar_subquery().label("reports"),
        )
    )
    found = list(await connection.execute(statement))
    reports = _REPORTS.validate_json(f"[{found[0].reports or ''}]") if found else []
    return [(job, summary(job, _rate(job, at), reports, job.first_batch)) for job in found]


def _rate(job: Row[Any], at: Micros) -> float:
    return rate(job.recent_hospitals, job.oldest_slot, job.started_at, at) if job.recent_hospitals else 0.0
