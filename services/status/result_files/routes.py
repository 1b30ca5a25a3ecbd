"""The HTTP API for result files: one CSV for each outcome of a job's rows."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from services.status.queries.route_dependencies import RouteDependencies
from services.status.result_files.result_csv import ResultFileName
from services.status.result_files.result_file import PAGE_LIMITS, OpenedFile, PageLimits, ResultFile, ResultFiles
from services.status.web.openapi import EVERYWHERE, Documented, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget

_FILES: Final[Documented] = {
    200: {
        "description": "UTF-8, in the order of the file, with the delimiter of the upload",
        "content": {"text/csv": {"schema": {"type": "string"}}},
        "headers": {
            "X-Job-Status": {"description": "As in the job's status", "schema": {"type": "string"}},
            "X-Result-Complete": {
                "description": "`false` while rows have no result yet: the file holds what there is so far",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
            "X-Result-Unknown": {
                "description": "How many of the rows may be in the directory all the same (`outcome_unknown`): look, "
                "and resolve them, before they are uploaded again",
                "schema": {"type": "integer"},
            },
        },
    }
}

ByteOrderMark = Annotated[
    bool | None,
    Query(
        description="Whether the file begins with a byte order mark, which Excel needs and programs stumble over. "
        "When it is not said, browsers get one and programs do not."
    ),
]


def result_file_routes(dependencies: RouteDependencies, limits: PageLimits = PAGE_LIMITS) -> APIRouter:
    """GET …/jobs/{job_id}/successful.csv, failed.csv and unprocessed.csv."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["result files"], responses=EVERYWHERE)
    files = ResultFiles(dependencies.database, dependencies.clock, limits)
    for name in ResultFileName:
        router.add_api_route(
            f"/{{job_id}}/{name}.csv",
            _route(name, files, dependencies),
            name=f"{name} rows as a CSV",
            response_class=StreamingResponse,
            responses=_FILES | problems(_404="No such job"),
        )
    return router


def _route(
    name: ResultFileName, files: ResultFiles, dependencies: RouteDependencies
) -> Callable[..., Awaitable[StreamingResponse]]:
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    async def result_file(
        job_id: JobId,
        tenant: CallerTenant,
        budget: Budget,
        accept: Annotated[str, Header()] = "",
        bom: ByteOrderMark = None,
    ) -> StreamingResponse:
        """The rows as they were uploaded, and what became of each in `result_*` columns, which an upload leaves out."""

        def find(connection: Connection) -> OpenedFile | None:
            return files.open(connection, tenant, job_id, name)

        opened = await dependencies.lookup.job(job_id, find, budget)
        marked = "text/html" in accept if bom is None else bom
        return ResultFile(files, opened, name, marked=marked)

    return result_file
