"""One result file: the rows of one outcome, or all, as a CSV or a workbook, streamed.

A file is read a page of rows at a time, each on a connection that is given back before a byte of it is sent. So a
client may take all day: memory stays the same, and no open transaction stands in the projection's way.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import structlog
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection, Row
from starlette.types import Send

from services.status.model.job_state import FINAL
from services.status.model.timestamps import Clock
from services.status.queries import job_queries
from services.status.queries.job_queries import JobRow
from services.status.queries.read_database import ReadDatabase
from services.status.queries.row_queries import result_page, undecided
from services.status.result_files import result_workbook
from services.status.result_files.download_name import content_disposition, file_name
from services.status.result_files.result_cells import ResultCells, ResultFileName
from services.status.result_files.result_csv import ResultCsv
from services.status.result_files.result_workbook import ResultWorkbook
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from shared.runtime.http.problems import Problem

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How much of a file is read at a time, and how patiently."""

    first_rows: int = 200
    max_rows: int = 2_000
    #: So much of the rows is read at a time, about.
    page_chars: int = 500_000
    #: A database that fails in the middle of a file is asked so often, `retry_seconds` apart.
    tries: int = 20
    retry_seconds: float = 1.0


#: For the service.
PAGE_LIMITS: Final = PageLimits()


class ResultFormat(StrEnum):
    """How a file is written: also the end of its name."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        """As HTTP says it."""
        if self is ResultFormat.CSV:
            return "text/csv"
        return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class WantedFile:
    """What was asked for. `marked`: a CSV begins with a byte order mark."""

    name: ResultFileName
    format: ResultFormat = ResultFormat.CSV
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of the file, in order."""

    rows: list[Row[Any]]
    #: Rows of unknown outcome about which nobody has decided.
    undecided: set[int]

    @property
    def chars(self) -> int:
        """How much was read. In a workbook it says more than what comes of it: that is compressed."""
        return sum(len(row.columns) + len(row.error or "") for row in self.rows)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A job as it was when its file was asked for, and the first rows."""

    job: JobRow
    activated: set[str]
    first: Page


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Where files are read from."""

    database: ReadDatabase
    clock: Clock
    limits: PageLimits

    def open(self, connection: Connection, tenant: Tenant, job_id: str, name: ResultFileName) -> OpenedFile | None:
        """The beginning of a file; None when the tenant has no such job, or it is not known yet."""
        job = job_queries.job(connection, tenant, job_id, self.clock())
        if job is None:
            return None
        activated = job_queries.activated_batches(connection, job_id)
        return OpenedFile(job, activated, _page(connection, job, name, 0, self.limits.first_rows))


class ResultFile(StreamingResponse):
    """The file, made as fast as the client takes it. Raises a 409 problem when no workbook can hold it."""

    def __init__(self, files: ResultFiles, opened: OpenedFile, wanted: WantedFile) -> None:
        self._files = files
        self._job = opened.job
        self._name = wanted.name
        complete = _complete(opened.job)
        # A file that is not complete says so wherever it is kept, and stays one that can be uploaded.
        part = wanted.name if complete else f"{wanted.name}-partial"
        headers = {
            "Content-Disposition": content_disposition(file_name(opened.job.file_name, part, wanted.format)),
            # It changes with a retry, and holds what not everybody may see.
            "Cache-Control": "no-store",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
            "X-Job-Status": opened.job.status,
            "X-Result-Complete": "true" if complete else "false",
            "X-Result-Unknown": str(opened.job.unknown_hospitals if wanted.name.may_hold_unknown else 0),
        }
        cells = ResultCells(opened.job.job_id, json.loads(opened.job.columns), opened.activated)
        _check_fits(opened, cells, wanted)
        super().__init__(
            self._content(opened.first, cells, wanted), headers=headers, media_type=wanted.format.media_type
        )

    async def stream_response(self, send: Send) -> None:
        """Ends without the last chunk when rows are missing, so that the client sees an incomplete file."""
        try:
            await super().stream_response(send)
        except Problem as problem:
            log.warning("result_file_broken_off", job_id=self._job.job_id, reason=problem.detail)

    async def _content(self, page: Page, cells: ResultCells, wanted: WantedFile) -> AsyncIterator[bytes]:
        written = _writer(self._job, cells, wanted)
        try:
            yield written.header()
            limits = self._files.limits
            rows = limits.first_rows
            while page.rows:
                # In a thread: others are answered meanwhile.
                content = await asyncio.to_thread(written.rows, page.rows, page.undecided)
                if content:  # a workbook's is pressed into blocks
                    yield content
                if len(page.rows) < rows:
                    break
                rows = min(limits.max_rows, max(1, rows * limits.page_chars // max(page.chars, 1)))
                page = await self._read(page.rows[-1].row, rows)
            await self._check_kept()
            yield written.end()
        finally:
            written.close()

    async def _check_kept(self) -> None:
        """Retention hides a job before it deletes rows. Raises a problem when some may be missing from the file."""
        job_id, at = self._job.job_id, self._files.clock()
        job = await self._files.database.read(
            lambda connection: job_queries.job(connection, None, job_id, at), ANSWER_SECONDS
        )
        if job is None:
            raise Problem(404, "not_found", f"The job {job_id} was deleted meanwhile.")

    async def _read(self, after: int, rows: int) -> Page:
        for _ in range(self._files.limits.tries - 1):
            try:
                return await self._ask(after, rows)
            except Problem:
                await asyncio.sleep(self._files.limits.retry_seconds)
        return await self._ask(after, rows)

    async def _ask(self, after: int, rows: int) -> Page:
        return await self._files.database.read(
            lambda connection: _page(connection, self._job, self._name, after, rows), ANSWER_SECONDS
        )


def _writer(job: JobRow, cells: ResultCells, wanted: WantedFile) -> ResultCsv | ResultWorkbook:
    if wanted.format is ResultFormat.XLSX:
        return ResultWorkbook(cells, _most_rows(job, wanted.name))
    return ResultCsv(cells, job.delimiter, marked=wanted.marked)


def _check_fits(opened: OpenedFile, cells: ResultCells, wanted: WantedFile) -> None:
    rows, columns = _most_rows(opened.job, wanted.name), len(cells.columns)
    if wanted.format is ResultFormat.XLSX and not result_workbook.fits(rows, columns, opened.first.rows):
        detail = f"{rows:,} rows of {columns:,} columns are more than a workbook holds. Ask for the .csv: it holds all."
        raise Problem(409, "workbook_too_large", detail)


def _most_rows(job: JobRow, name: ResultFileName) -> int:
    """How many rows the file has; while the job runs, how many it may have."""
    if not _complete(job):
        return int(job.total_hospitals)
    match name:
        case ResultFileName.ALL:
            return int(job.total_hospitals)
        case ResultFileName.SUCCESSFUL:
            return int(job.created_hospitals)
        case ResultFileName.FAILED:
            return int(job.failed_hospitals)
        case ResultFileName.UNPROCESSED:
            return int(job.unprocessed_hospitals)


def _page(connection: Connection, job: JobRow, name: ResultFileName, after: int, limit: int) -> Page:
    rows = result_page(connection, job, name.outcome, after, limit)
    return Page(rows, undecided(connection, job, rows))


def _complete(job: JobRow) -> bool:
    """A cancelled job may be over while rows behind the processors' windows still wait for their result."""
    finished: bool = job.status in FINAL and job.finished_round >= job.round
    return finished
