"""The HTTP API for what has happened to a job, and for why its rows failed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection

from services.status.queries import job_queries
from services.status.queries.cursors import from_offset
from services.status.queries.history import FailureList, JobHistoryAnswer, failures, job_history
from services.status.queries.route_dependencies import RouteDependencies
from services.status.web.openapi import EVERYWHERE, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget


def history_routes(dependencies: RouteDependencies) -> APIRouter:
    """The routes under /api/v1/hospitals/jobs."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["jobs"], responses=EVERYWHERE)
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    @router.get(
        "/{job_id}/history",
        operation_id="job_history",
        summary="What has happened to a job",
        response_model=JobHistoryAnswer,
        responses=problems(_400="A parameter is wrong.", _404="No such job."),
    )
    async def history(
        job_id: JobId,
        tenant: CallerTenant,
        budget: Budget,
        limit: Annotated[int, Query(description="At most so many.", ge=1, le=1_000)] = 100,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=500)] = None,
    ) -> JobHistoryAnswer:
        """Who did what to the job, and when: its upload, commands and rounds, in the order in which they happened."""
        first = from_offset(cursor)

        def find(connection: Connection) -> JobHistoryAnswer | None:
            job = job_queries.job(connection, tenant, job_id, dependencies.clock())
            return None if job is None else job_history(connection, job, first, limit)

        return await dependencies.lookup.job(job_id, find, budget)

    @router.get(
        "/{job_id}/failures",
        operation_id="count_failures",
        summary="Why rows failed",
        response_model=FailureList,
        responses=problems(_404="No such job."),
    )
    async def failure_counts(job_id: JobId, tenant: CallerTenant, budget: Budget) -> FailureList:
        """How many open rows there are of each error code, for a retry that chooses by it."""

        def find(connection: Connection) -> FailureList | None:
            job = job_queries.job(connection, tenant, job_id, dependencies.clock())
            return None if job is None else failures(connection, job)

        return await dependencies.lookup.job(job_id, find, budget)

    return router
