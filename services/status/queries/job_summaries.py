"""Answers about jobs that people ask for and watch: one statement, however many jobs and people there are.

The statements are built once: putting one together takes longer than all the rest of an answer.
"""

import json
from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, Text, bindparam, cast, func, select

from services.status.model.known_reports import KnownReport
from services.status.model.throughput import first_recent_slot, slot_of
from services.status.model.timestamps import micros
from services.status.queries.corrections import link_columns
from services.status.queries.job_queries import Slots, visible
from services.status.queries.responses import job_in_full, summary
from services.status.queries.schemas import JobAnswer, JobSummary
from services.status.tables.definitions import batches, jobs, pace, processors
from services.status.web.tenant import Tenant

_REPORTS: Final = TypeAdapter(list[KnownReport])


def job_answer(connection: Connection, tenant: Tenant, job_id: str, at: datetime) -> JobAnswer | None:
    """A job in full at that moment; None when the tenant has none of that id, or it is not known yet."""
    statement = _in_full(connection.dialect.name, of_tenant=tenant is not None)
    found = connection.execute(statement, _parameters(tenant, at) | {"job_id": job_id})
    job = found.one_or_none()
    if job is None:
        return None
    batch_ids = [batch_id for _, batch_id in sorted(json.loads(job.all_batches or "[]"))]
    short = summary(job, _slots(job), _reports(job), batch_ids[0] if batch_ids else None, at)
    return job_in_full(connection, job, short, batch_ids)


def summaries(connection: Connection, tenant: Tenant, job_ids: Collection[str], at: datetime) -> dict[str, JobSummary]:
    """Those jobs that the tenant has, at that moment; the others are left out."""
    statement = _in_short(of_tenant=tenant is not None)
    found = list(connection.execute(statement, _parameters(tenant, at) | {"job_ids": list(job_ids)}))
    reports = _reports(found[0]) if found else []
    return {job.job_id: summary(job, _slots(job), reports, job.first_batch, at) for job in found}


def _parameters(tenant: Tenant, at: datetime) -> dict[str, object]:
    moment = micros(at)
    return {
        "tenant": tenant,
        "at": moment,
        "first_slot": first_recent_slot(moment),
        "last_slot": slot_of(moment),
    }


@cache
def _in_full(dialect: str, *, of_tenant: bool) -> Select[Any]:
    together, pair = _JSON[dialect]
    of_job = select(cast(together(pair(batches.c.position, batches.c.batch_id)), Text)).where(
        batches.c.job_id == jobs.c.job_id
    )
    wanted = _shown(of_tenant=of_tenant).where(jobs.c.job_id == bindparam("job_id"))
    return wanted.add_columns(of_job.scalar_subquery().label("all_batches"))


@cache
def _in_short(*, of_tenant: bool) -> Select[Any]:
    first_batch = select(batches.c.batch_id).where(batches.c.job_id == jobs.c.job_id, batches.c.position == 0)
    wanted = _shown(of_tenant=of_tenant).where(jobs.c.job_id.in_(bindparam("job_ids", expanding=True)))
    return wanted.add_columns(first_batch.scalar_subquery().label("first_batch"))


#: What gathers rows, and columns, into a JSON array.
_JSON: Final = {
    "postgresql": (func.json_agg, func.json_build_array),
    "sqlite": (func.json_group_array, func.json_array),
}


def _shown(*, of_tenant: bool) -> Select[Any]:
    # Slots that have not come are of a processor whose clock is ahead.
    recent = (pace.c.job_id == jobs.c.job_id) & pace.c.slot.between(bindparam("first_slot"), bindparam("last_slot"))
    each_slot = cast(pace.c.slot, Text) + ":" + cast(pace.c.hospitals, Text)
    return visible(bindparam("tenant") if of_tenant else None, bindparam("at")).add_columns(
        select(func.aggregate_strings(each_slot, " ")).where(recent).scalar_subquery().label("recent_slots"),
        select(func.aggregate_strings(processors.c.report, ",")).scalar_subquery().label("reports"),
        *link_columns(),
    )


def _reports(job: Row[Any]) -> list[KnownReport]:
    return _REPORTS.validate_json(f"[{job.reports or ''}]")


def _slots(job: Row[Any]) -> Slots:
    pairs = (pair.split(":") for pair in (job.recent_slots or "").split())
    return [(int(slot), int(hospitals)) for slot, hospitals in pairs]
