"""The HTTP API for jobs and rows: how a job is, all jobs, the rows of a job."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from sqlalchemy import Connection

from services.status.model.job_state import JobStatus
from services.status.model.row_results import RowStatus
from services.status.queries import job_queries, job_summaries, responses
from services.status.queries.cursors import after_job, after_row
from services.status.queries.job_queries import JobFilter
from services.status.queries.route_dependencies import RouteDependencies
from services.status.queries.schemas import JobAnswer, JobList, RowList
from services.status.web.openapi import EVERYWHERE, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget

Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=500)]


def api_routes(dependencies: RouteDependencies) -> APIRouter:
    """The routes under /api/v1."""
    router = APIRouter(prefix="/api/v1/hospitals", tags=["jobs"], responses=EVERYWHERE)
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type
    lookup, clock = dependencies.lookup, dependencies.clock

    @router.get(
        "/status/{job_id}",
        operation_id="job_status",
        summary="How a job is",
        response_model=JobAnswer,
        responses=problems(_404="No such job."),
    )
    async def status(job_id: JobId, tenant: CallerTenant, budget: Budget) -> Response:
        """A job that was just accepted is never 404. Ask again until `completed_at` is there, or read its events."""

        def find(connection: Connection) -> JobAnswer | None:
            return job_summaries.job_answer(connection, tenant, job_id, clock())

        answer = await lookup.job(job_id, find, budget)
        # The question that is asked most: FastAPI would check and walk through the answer once more.
        return Response(answer.model_dump_json(), media_type="application/json")

    @router.get(
        "/jobs",
        operation_id="list_jobs",
        summary="All jobs",
        response_model=JobList,
        responses=problems(_400="A parameter is wrong."),
    )
    async def jobs(
        tenant: CallerTenant,
        budget: Budget,
        status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
        q: Annotated[
            str | None, Query(description="Only jobs with this in file name or id, in any case.", max_length=200)
        ] = None,
        limit: Annotated[int, Query(description="At most so many.", ge=1, le=200)] = 20,
        cursor: Cursor = None,
    ) -> JobList:
        """The newest first."""
        after = after_job(cursor)
        wanted = JobFilter(status, (q or "").replace("\0", ""))  # no database keeps a NUL, so no job has one
        return await dependencies.database.read(
            lambda connection: responses.job_list(connection, tenant, wanted, after, limit, clock()), budget.remaining
        )

    @router.get(
        "/jobs/{job_id}/rows",
        operation_id="list_rows",
        summary="The rows of a job",
        response_model=RowList,
        responses=problems(_400="A parameter is wrong.", _404="No such job."),
    )
    async def rows(
        job_id: JobId,
        tenant: CallerTenant,
        budget: Budget,
        outcome: Annotated[RowStatus | None, Query(description="Only rows of which this became.")] = None,
        limit: Annotated[int, Query(description="At most so many.", ge=1, le=1_000)] = 100,
        cursor: Cursor = None,
    ) -> RowList:
        """Those that have a result, in the order of the file."""
        after = after_row(cursor)

        def find(connection: Connection) -> RowList | None:
            job = job_queries.job(connection, tenant, job_id, clock())
            return None if job is None else responses.row_list(connection, job, outcome, after, limit)

        return await lookup.job(job_id, find, budget)

    return router
