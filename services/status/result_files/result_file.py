"""One result file: the rows of one outcome as a CSV, streamed.

A file is read a page of rows at a time, each on a connection that is given back before a byte of it is sent. So a
client may take all day: memory stays the same, and no open transaction stands in the projection's way.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
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
from services.status.result_files.download_name import content_disposition, file_name
from services.status.result_files.result_csv import BYTE_ORDER_MARK, ResultCsv, ResultFileName
from services.status.web.tenant import Tenant
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from shared.runtime.http.problems import Problem

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How much of a file is read at a time, and how patiently."""

    first_rows: int = 200
    max_rows: int = 2_000
    #: So much CSV is made at a time, about.
    csv_bytes: int = 500_000
    #: A database that fails in the middle of a file is asked so often, `retry_seconds` apart.
    tries: int = 20
    retry_seconds: float = 1.0


#: For the service.
PAGE_LIMITS: Final = PageLimits()


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of the file, in order."""

    rows: list[Row[Any]]
    #: Rows of unknown outcome about which nobody has decided.
    undecided: set[int]


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
    """The file, made as fast as the client takes it. `marked`: it begins with a byte order mark."""

    def __init__(self, files: ResultFiles, opened: OpenedFile, name: ResultFileName, *, marked: bool) -> None:
        self._files = files
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

    async def _content(self, opened: OpenedFile, *, marked: bool) -> AsyncIterator[bytes]:
        written = ResultCsv(json.loads(self._job.columns), self._job.delimiter, opened.activated)
        yield (BYTE_ORDER_MARK.encode() if marked else b"") + written.header()
        limits = self._files.limits
        page, rows = opened.first, limits.first_rows
        while page.rows:
            # In a thread: others are answered meanwhile.
            lines = await asyncio.to_thread(written.rows, page.rows, page.undecided)
            yield lines
            if len(page.rows) < rows:
                break
            rows = min(limits.max_rows, max(1, rows * limits.csv_bytes // len(lines)))
            page = await self._read(page.rows[-1].row, rows)
        await self._check_kept()

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


def _page(connection: Connection, job: JobRow, name: ResultFileName, after: int, limit: int) -> Page:
    rows = result_page(connection, job, name.outcome, after, limit)
    return Page(rows, undecided(connection, job, rows))


def _complete(job: JobRow) -> bool:
    """A cancelled job may be over while rows behind the processors' windows still wait for their result."""
    finished: bool = job.status in FINAL and job.finished_round >= job.round
    return finished
