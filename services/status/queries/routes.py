"""The HTTP API for jobs and rows: how a job is, all jobs, the rows of a job."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BeforeValidator
from sqlalchemy import Connection

from services.status.model.corrections import AnswerOutcome
from services.status.model.job_state import JobStatus
from services.status.model.row_results import RowStatus
from services.status.queries import job_queries, job_summaries, responses
from services.status.queries.cursors import after_job, after_row
from services.status.queries.job_queries import JobFilter
from services.status.queries.route_dependencies import RouteDependencies
from services.status.queries.schemas import JobAnswer, JobList, RowList
from services.status.tables.column_limits import EARLIEST, LATEST, LONGEST_FILE_NAME
from services.status.web.openapi import EVERYWHERE, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.problems import Problem

Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=500)]


def _in_words(moment: Any) -> Any:
    """Refuses seconds since 1970, which pydantic would take: nobody who says a number means that."""
    if isinstance(moment, str) and moment.replace(".", "", 1).lstrip("+-").isdigit():
        raise ValueError("a date and a time, please, such as 2026-03-01T09:00:00Z")
    return moment


Moment = Annotated[datetime, BeforeValidator(_in_words)]


def _kept(text: str | None) -> str | None:
    """No database keeps a NUL, so no job has one."""
    return None if text is None else text.replace("\0", "")


def _in_utc(moment: datetime | None) -> datetime | None:
    """The moment, which no table can compare outside of the years that it keeps. Raises a 400 problem."""
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= moment < LATEST:
        raise Problem(400, "invalid_request", f"A moment between {EARLIEST.year} and {LATEST.year}, please.")
    return moment


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
        outcome: Annotated[AnswerOutcome | None, Query(description="Only jobs that ended so.")] = None,
        needs_attention: Annotated[
            bool | None,
            Query(
                description="Only jobs that have ended and at which somebody should look: rows failed, or created "
                "hospitals are not active. What a correction takes care of is none."
            ),
        ] = None,
        file_name: Annotated[
            str | None, Query(description="Only uploads of exactly this name.", max_length=LONGEST_FILE_NAME)
        ] = None,
        begin: Annotated[
            Moment | None, Query(alias="from", description="Only jobs uploaded then or later; without a zone: UTC.")
        ] = None,
        end: Annotated[
            Moment | None, Query(alias="to", description="Only jobs uploaded before; without a zone: UTC.")
        ] = None,
        limit: Annotated[int, Query(description="At most so many.", ge=1, le=200)] = 20,
        cursor: Cursor = None,
    ) -> JobList:
        """The newest first."""
        after = after_job(cursor)
        wanted = JobFilter(status, _kept(q), outcome, needs_attention, _kept(file_name), _in_utc(begin), _in_utc(end))
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
