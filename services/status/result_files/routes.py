"""The HTTP API for result files: one for each outcome of a job's rows, and one for all of them."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse

from services.status.queries.lookup import Find
from services.status.queries.route_dependencies import RouteDependencies
from services.status.result_files.receipt import Receipt, read_receipt
from services.status.result_files.result_cells import ResultFileName
from services.status.result_files.result_file import (
    PAGE_LIMITS,
    OpenedFile,
    PageLimits,
    ResultFile,
    ResultFiles,
    ResultFormat,
    WantedFile,
)
from services.status.web.openapi import EVERYWHERE, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.http.openapi import CACHE_CONTROL, Documented, header

_HEADERS: Final = {
    **CACHE_CONTROL,
    "Content-Disposition": header("The name to save it under, from that of the upload.", type="string"),
    "X-Job-Status": header("As in the job's status.", type="string"),
    "X-Result-Complete": header(
        "`false` while rows have no result yet: the file holds what there is so far. Its name ends with `-partial`.",
        type="string",
        enum=["true", "false"],
    ),
    "X-Result-Unknown": header(
        "How many of the rows may be in the directory all the same (`outcome_unknown`): look, and resolve them, "
        "before they are uploaded again.",
        type="integer",
    ),
}
_CSV_FILES: Final[Documented] = {
    200: {
        "description": "UTF-8, in the order of the file, with the delimiter of the upload.",
        "content": {ResultFormat.CSV.media_type: {"schema": {"type": "string"}}},
        "headers": _HEADERS,
    }
}
_WORKBOOKS: Final[Documented] = {
    200: {
        "description": "One sheet, in the order of the file. Every cell of the upload is text. What is longer than "
        "Excel's 32,767 characters is cut. So are errors when the sheet would pass 2 GiB.",
        "content": {ResultFormat.XLSX.media_type: {"schema": {"type": "string", "format": "binary"}}},
        "headers": _HEADERS,
    }
}

_ROWS: Final = {
    ResultFileName.SUCCESSFUL: "The created rows",
    ResultFileName.FAILED: "The failed rows",
    ResultFileName.UNPROCESSED: "The rows that were not sent",
    ResultFileName.ALL: "All rows",
}

ByteOrderMark = Annotated[
    bool | None,
    Query(
        description="Whether the file begins with a byte order mark, which Excel needs and programs stumble over. "
        "When it is not said, browsers get one and programs do not."
    ),
]


def result_file_routes(dependencies: RouteDependencies, limits: PageLimits = PAGE_LIMITS) -> APIRouter:
    """GET …/jobs/{job_id}/successful.csv, failed.csv, unprocessed.csv and all.csv; the same as .xlsx."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["result files"], responses=EVERYWHERE)
    files = ResultFiles(dependencies.database, dependencies.clock, limits)
    for name in ResultFileName:
        router.add_api_route(
            f"/{{job_id}}/{name}.csv",
            _csv_route(name, files, dependencies),
            operation_id=f"download_{name}",
            summary=f"{_ROWS[name]} as a CSV",
            response_class=StreamingResponse,
            responses=_CSV_FILES | problems(_400="A parameter is wrong.", _404="No such job."),
        )
        router.add_api_route(
            f"/{{job_id}}/{name}.xlsx",
            _workbook_route(name, files, dependencies),
            operation_id=f"download_{name}_workbook",
            summary=f"{_ROWS[name]} as a workbook",
            response_class=StreamingResponse,
            responses=_WORKBOOKS | problems(_404="No such job.", _409="More than a workbook can hold."),
        )
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    @router.get(
        "/{job_id}/receipt",
        operation_id="get_receipt",
        summary="What the job finished with",
        response_model=Receipt,
        responses=problems(_404="No such job.", _409="The job has not finished, or an older version finished it."),
    )
    async def receipt(job_id: JobId, tenant: CallerTenant, budget: Budget) -> Receipt:
        """What the job finished with: hashes by which result files can be checked later, without this service."""
        return await dependencies.lookup.job(
            job_id, lambda connection: read_receipt(connection, tenant, job_id, dependencies.clock), budget
        )

    return router


def _csv_route(
    name: ResultFileName, files: ResultFiles, dependencies: RouteDependencies
) -> Callable[..., Awaitable[StreamingResponse]]:
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    async def result_file(
        job_id: JobId,
        tenant: CallerTenant,
        budget: Budget,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
        bom: ByteOrderMark = None,
    ) -> StreamingResponse:
        """The rows as they were uploaded, and what became of each in `result_*` columns, which an upload leaves out."""
        opened = await dependencies.lookup.job(job_id, _opening(files, tenant, job_id, name), budget)
        marked = "text/html" in accept if bom is None else bom
        return ResultFile(files, opened, WantedFile(name, marked=marked))

    return result_file


def _workbook_route(
    name: ResultFileName, files: ResultFiles, dependencies: RouteDependencies
) -> Callable[..., Awaitable[StreamingResponse]]:
    CallerTenant = Annotated[Tenant, Depends(dependencies.tenant)]  # noqa: N806 - a type
    Budget = Annotated[AnswerBudget, Depends(dependencies.budget)]  # noqa: N806 - a type

    async def workbook(job_id: JobId, tenant: CallerTenant, budget: Budget) -> StreamingResponse:
        """The same rows and columns as in the CSV of this name. It can be corrected and uploaded as it is, too."""
        opened = await dependencies.lookup.job(job_id, _opening(files, tenant, job_id, name), budget)
        return ResultFile(files, opened, WantedFile(name, ResultFormat.XLSX))

    return workbook


def _opening(files: ResultFiles, tenant: Tenant, job_id: str, name: ResultFileName) -> Find[OpenedFile]:
    return lambda connection: files.open(connection, tenant, job_id, name)
