"""The batches of a job, and which of them are activated: so that a person knows which one to activate by hand."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from services.status.model.timestamps import moment
from services.status.queries import job_queries
from services.status.queries.route_dependencies import RouteDependencies
from services.status.tables.definitions import activations
from services.status.web.openapi import EVERYWHERE, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget


class BatchAnswer(BaseModel):
    """A batch of a job."""

    batch_id: str
    activated: bool
    activated_at: datetime | None
    error: Annotated[str | None, Field(description="The directory's words, when it refused the last time")]


class BatchList(BaseModel):
    """All batches of a job, in order: at most a thousand or so."""

    batches: list[BatchAnswer]


def batch_routes(dependencies: RouteDependencies) -> APIRouter:
    """The route under /api/v1/hospitals/jobs."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["jobs"], responses=EVERYWHERE)
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    @router.get(
        "/{job_id}/batches",
        operation_id="list_batches",
        summary="The batches of a job",
        response_model=BatchList,
        responses=problems(_404="No such job."),
    )
    async def batches(job_id: JobId, tenant: CallerTenant, budget: Budget) -> BatchList:
        """Each with its activation."""

        def find(connection: Connection) -> BatchList | None:
            job = job_queries.job(connection, tenant, job_id, dependencies.clock())
            return None if job is None else _batches(connection, job_id)

        return await dependencies.lookup.job(job_id, find, budget)

    return router


def _batches(connection: Connection, job_id: str) -> BatchList:
    statement = select(activations).where(activations.c.job_id == job_id).order_by(activations.c.answered_at.desc())
    activated: dict[str, datetime] = {}
    refused: dict[str, str] = {}
    for answer in connection.execute(statement):
        if answer.activated:
            activated[answer.batch_id] = moment(answer.answered_at)  # the first one counts: it comes last here
        else:
            refused.setdefault(answer.batch_id, answer.message)
    return BatchList(
        batches=[
            BatchAnswer(
                batch_id=batch_id,
                activated=batch_id in activated,
                activated_at=activated.get(batch_id),
                error=None if batch_id in activated else refused.get(batch_id),
            )
            for batch_id in job_queries.batch_ids(connection, job_id)
        ]
    )
