"""The rows of a new round: what failed or was not sent, read from the tables a page at a time."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.commands.retry_transactions import RetryRecord
from services.status.model.corrections import NamedRows
from services.status.model.job_facts import JobFacts
from services.status.model.row_results import RowStatus
from services.status.model.timestamps import moment
from services.status.model.uploaded_rows import uploaded_hospital
from services.status.queries.corrections import is_chosen, named_rows
from services.status.tables.definitions import resolutions, rows
from services.status.tables.row_lookup import last_row, row_range
from shared.contract.cloud_events import encode
from shared.contract.events import (
    FieldColumns,
    JobRetryRequested,
    RowAccepted,
    RowErrorCode,
    RowFailed,
    RowUnprocessed,
)
from shared.contract.topics import Topics


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """What one transaction takes at most; the last page may go over it. `page`: row numbers that a statement covers."""

    rows: int = 5_000
    bytes: int = 8 * 1024 * 1024
    page: int = 500


CHUNK_LIMITS: Final = ChunkLimits()


@dataclass(slots=True)
class Chunk:
    """Records of rows in the file's order. `row`: the last row number that was read; `last`: no row comes after it."""

    row: int
    limits: ChunkLimits = CHUNK_LIMITS
    records: list[RetryRecord] = field(default_factory=list)
    last: bool = False
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether a transaction should take no more."""
        return len(self.records) >= self.limits.rows or self.size >= self.limits.bytes

    def add(self, record: RetryRecord) -> None:
        """One row more."""
        self.records.append(record)
        self.size += len(record[1].value)


@dataclass(frozen=True, slots=True)
class Retry:
    """A round that is to be run. `express`: whether the job's rows go to the express topic, or to the bulk one."""

    request: JobRetryRequested
    express: bool
    #: The job's, in the order of each row's cells.
    columns: Sequence[str]
    traceparent: str | None = None
    #: Which of the columns made the hospital; None: those that are called name, address and phone.
    fields: FieldColumns | None = None


def retry_of(request: JobRetryRequested, job: JobFacts, traceparent: str | None) -> Retry:
    """The round of a job that JobAccepted has told of."""
    fields = FieldColumns.model_validate_json(job.fields) if job.fields else None
    return Retry(request, bool(job.express), json.loads(job.columns or "[]"), traceparent, fields)


async def next_chunk(
    engine: AsyncEngine, topics: Topics, retry: Retry, after: int, limits: ChunkLimits = CHUNK_LIMITS
) -> Chunk:
    """The records of rows behind a row, as many as one transaction takes. Raises SQLAlchemyError, OSError."""
    chunk = Chunk(after, limits)
    async with engine.connect() as connection:
        end = await last_row(connection, retry.request.job_id)
        named = await connection.run_sync(named_rows, retry.request.job_id)
    while not chunk.full and not chunk.last:
        for record in _records(topics, retry, named, await _page(engine, retry.request, chunk.row, limits.page)):
            chunk.add(record)
        chunk.row = min(chunk.row + limits.page, end)
        chunk.last = chunk.row >= end
        await asyncio.sleep(0)  # encoding a page takes some ms: others want to be answered in between
    return chunk


async def _page(engine: AsyncEngine, request: JobRetryRequested, after: int, numbers: int) -> list[Row[Any]]:
    decided = and_(
        resolutions.c.job_id == rows.c.job_id, resolutions.c.row == rows.c.row, resolutions.c.round == rows.c.round
    )
    statement = (
        select(rows, (resolutions.c.resolved_at.is_not(None)).label("decided"))
        .outerjoin_from(rows, resolutions, decided)
        .where(*row_range(request.job_id, after, numbers))
        .where(rows.c.status != RowStatus.CREATED.value, rows.c.round < request.round)
        .order_by(rows.c.row)
    )
    async with engine.connect() as connection:
        return list(await connection.execute(statement))


def _records(topics: Topics, retry: Retry, named: NamedRows, page: list[Row[Any]]) -> Iterator[RetryRecord]:
    for row in page:
        runs = row.row not in named and is_chosen(row, retry.request.codes)
        event = retried(row, retry) if runs else carried_over(row, retry)
        topic = topics.rows[0 if retry.express else 1] if isinstance(event, RowAccepted) else topics.results
        yield topic, encode(event, "status", retry.traceparent)


def retried(row: Row[Any], retry: Retry) -> RowAccepted | RowFailed | RowUnprocessed:
    """The row's event for the round, always the same for the same request.

    A row whose event could not be read is carried over: nobody knows what to send.
    """
    hospital = uploaded_hospital(json.loads(row.columns), retry.fields, retry.columns)
    if hospital is None:
        return carried_over(row, retry)
    fields = {"name": hospital.name, "address": hospital.address, "phone": hospital.phone}
    return RowAccepted(**_about(row, retry), **fields, may_exist=may_exist(row, retry.request))


def carried_over(row: Row[Any], retry: Retry) -> RowFailed | RowUnprocessed:
    """The result of the round before once more: the row does not run, and every row has one result a round."""
    hospital = uploaded_hospital(json.loads(row.columns), retry.fields, retry.columns)
    about = _about(row, retry) | {
        "name": row.name,
        "address": hospital.address if hospital else None,
        "phone": hospital.phone if hospital else None,
        "attempts": row.attempts,
        "started_at": moment(row.started_at),
        "carried_over": True,
    }
    if row.status == RowStatus.UNPROCESSED.value:
        return RowUnprocessed(**about, message=row.error or "The row was not sent.")
    code = RowErrorCode(row.error_code or RowErrorCode.UNDECODABLE)
    if code is RowErrorCode.OUTCOME_UNKNOWN and row.decided:
        code = RowErrorCode.ATTEMPTS_EXHAUSTED  # a person has looked: it is not unknown any more
    message = row.error or "The row's event could not be read."
    return RowFailed(**about, code=code, message=message, http_status=row.http_status)


def _about(row: Row[Any], retry: Retry) -> dict[str, Any]:
    request, uploaded = retry.request, json.loads(row.columns)
    by_name = isinstance(uploaded, dict)
    return {
        "occurred_at": request.occurred_at,
        "tenant": request.tenant,
        "job_id": request.job_id,
        "batch_id": row.batch_id or "",
        "row": row.row,
        "round": request.round,
        "columns" if by_name else "cells": uploaded,  # as it came, so that processors of then and now can read it
    }


def may_exist(row: Row[Any], request: JobRetryRequested) -> bool:
    """Whether the row's hospital may be in the directory.

    Not when its last round was clearly refused, or not sent, or a person has looked and it is not there.
    """
    if row.round != request.round - 1:
        return True  # it has no result of the last round: nobody knows what came of that
    if row.status == RowStatus.UNPROCESSED.value or row.error_code == RowErrorCode.REJECTED.value:
        return False
    # Of a decided row that has not become a hospital, the decision is "absent".
    return not (row.error_code == RowErrorCode.OUTCOME_UNKNOWN.value and row.decided)
