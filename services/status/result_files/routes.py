"""Result files: the rows of one outcome as a CSV, streamed.

A file is read a page of rows at a time, each on a connection that is given back before a byte of it is sent. So a
client may take all day: memory stays the same, and no open transaction stands in the projection's way.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection, Row
from starlette.types import Send

from services.status.model.job_state import FINAL
from services.status.queries import job_queries
from services.status.queries.job_queries import JobRow
from services.status.queries.lookup import JobLookup
from services.status.queries.read_database import ReadDatabase
from services.status.queries.row_queries import result_page, undecided
from services.status.result_files.download_name import content_disposition, file_name
from services.status.result_files.result_csv import BYTE_ORDER_MARK, ResultCsv, ResultFileName
from services.status.web.openapi import EVERYWHERE, Documented, JobId, problems
from services.status.web.tenant import Tenant
from shared.runtime.problems import Problem

log = structlog.get_logger(__name__)

#: So much CSV is made at a time, about.
_PAGE_BYTES: Final = 500_000
_FIRST_PAGE_ROWS: Final = 200
_MAX_PAGE_ROWS: Final = 2_000
#: A database that fails in the middle of a file is asked again so often, a second apart.
_TRIES: Final = 20
_TRY_AGAIN_SECONDS: Final = 1.0

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


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[Row[Any]]
    #: Those of unknown outcome of which nobody has said yet what they saw.
    undecided: set[int]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A job as it was when its file was asked for, and the first rows."""

    job: JobRow
    activated: set[str]
    first: _Page


def result_file_routes(
    database: ReadDatabase, lookup: JobLookup, asking_tenant: Callable[..., Awaitable[Tenant]]
) -> APIRouter:
    """GET …/jobs/{job_id}/successful.csv, failed.csv and unprocessed.csv."""
    router = APIRouter(prefix="/api/v1/hospitals/jobs", tags=["result files"], responses=EVERYWHERE)
    for name in ResultFileName:
        router.add_api_route(
            f"/{{job_id}}/{name}.csv",
            _route(name, database, lookup, asking_tenant),
            name=f"{name} rows as a CSV",
            response_class=StreamingResponse,
            responses=_FILES | problems(_404="No such job"),
        )
    return router


def _route(
    name: ResultFileName, database: ReadDatabase, lookup: JobLookup, asking_tenant: Callable[..., Awaitable[Tenant]]
) -> Callable[..., Awaitable[StreamingResponse]]:
    Asking = Annotated[Tenant, Depends(asking_tenant)]  # noqa: N806 - a type

    async def result_file(
        job_id: JobId, tenant: Asking, accept: Annotated[str, Header()] = "", bom: ByteOrderMark = None
    ) -> StreamingResponse:
        """The rows as they were uploaded, and what became of each in `result_*` columns, which an upload leaves out."""

        def find(connection: Connection) -> _Opened | None:
            if (job := job_queries.job(connection, tenant, job_id)) is None:
                return None
            activated = job_queries.activated_batches(connection, job_id)
            return _Opened(job, activated, _page(connection, job, name, 0, _FIRST_PAGE_ROWS))

        opened = await lookup.job(job_id, find)
        marked = "text/html" in accept if bom is None else bom
        return ResultFile(database, opened, name, marked=marked)

    return result_file


class ResultFile(StreamingResponse):
    """The file, made as fast as the client takes it."""

    def __init__(self, database: ReadDatabase, opened: _Opened, name: ResultFileName, *, marked: bool) -> None:
        self._database = database
        self._job = opened.job
        self._name = name
        headers = {
            "Content-Disposition": content_disposition(file_name(opened.job.file_name, name)),
            # It changes with a retry, and holds what not everybody may see.
            "Cache-Control": "no-store",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
            "X-Job-Status": opened.job.status,
            "X-Result-Complete": "true" if _complete(opened.job) else "false",
            "X-Result-Unknown": str(opened.job.unknown_hospitals if name is ResultFileName.FAILED else 0),
        }
        super().__init__(self._content(opened, marked=marked), headers=headers, media_type="text/csv")

    async def stream_response(self, send: Send) -> None:
        """Ends without the last chunk when rows are missing, so that the client sees an incomplete file."""
        try:
            await super().stream_response(send)
        except Problem as problem:
            log.warning("result_file_broken_off", job_id=self._job.job_id, reason=problem.detail)

    async def _content(self, opened: _Opened, *, marked: bool) -> AsyncIterator[bytes]:
        written = ResultCsv(json.loads(self._job.columns), self._job.delimiter, opened.activated)
        yield (BYTE_ORDER_MARK.encode() if marked else b"") + written.header()
        page, limit = opened.first, _FIRST_PAGE_ROWS
        while page.rows:
            # In a thread: others are answered meanwhile.
            lines = await asyncio.to_thread(written.rows, page.rows, page.undecided)
            yield lines
            if len(page.rows) < limit:
                break
            limit = min(_MAX_PAGE_ROWS, max(1, limit * _PAGE_BYTES // len(lines)))
            page = await self._read(page.rows[-1].row, limit)
        await self._check_kept()

    async def _check_kept(self) -> None:
        """Retention hides a job before it deletes rows. Raises a problem when some may be missing from the file."""
        job_id = self._job.job_id
        if await self._database.read(lambda connection: job_queries.job(connection, None, job_id)) is None:
            raise Problem(404, "not_found", f"The job {job_id} was deleted meanwhile.")

    async def _read(self, after: int, limit: int) -> _Page:
        for _ in range(_TRIES - 1):
            try:
                return await self._ask(after, limit)
            except Problem:
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
        return await self._ask(after, limit)

    async def _ask(self, after: int, limit: int) -> _Page:
        return await self._database.read(lambda connection: _page(connection, self._job, self._name, after, limit))


def _page(connection: Connection, job: JobRow, name: ResultFileName, after: int, limit: int) -> _Page:
    rows = result_page(connection, job, name.outcome, after, limit)
    return _Page(rows, undecided(connection, job, rows))


def _complete(job: JobRow) -> bool:
    """A cancelled job may be over while rows behind the processors' windows still wait for their result."""
    finished: bool = job.status in FINAL and job.finished_round >= job.round
    return finished
