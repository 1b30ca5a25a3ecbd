"""What the tables know of rows."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.answers import RowAnswerStatus
from services.status.job_queries import JobRow
from services.status.results import RowStatus
from services.status.tables import resolutions, rows
from shared.events import RowErrorCode

_SHOWN = (
    rows.c.row,
    rows.c.round,
    rows.c.name,
    rows.c.status,
    rows.c.batch_id,
    rows.c.hospital_id,
    rows.c.attempts,
    rows.c.error_code,
    rows.c.error,
)
_IN_FILES = (*_SHOWN, rows.c.columns)


async def row_page(
    connection: AsyncConnection, job: JobRow, outcome: RowStatus | None, after: int, limit: int
) -> list[Row[Any]]:
    """Rows that have a result, in the order of the file, after a row."""
    return list(await connection.execute(_page(select(*_SHOWN), job, outcome, after, limit)))


async def result_page(
    connection: AsyncConnection, job: JobRow, outcome: RowStatus, after: int, limit: int
) -> list[Row[Any]]:
    """The same, with all that result files tell."""
    return list(await connection.execute(_page(select(*_IN_FILES), job, outcome, after, limit)))


def _page(statement: Select[Any], job: JobRow, outcome: RowStatus | None, after: int, limit: int) -> Select[Any]:
    statement = statement.where(rows.c.job_id == job.job_id, rows.c.row > after)
    if job.round > 1:  # what failed in an earlier round runs again: it has no result yet
        statement = statement.where((rows.c.status == RowStatus.CREATED.value) | (rows.c.round >= job.round))
    if outcome is not None:
        statement = statement.where(rows.c.status == outcome.value)
    if outcome not in (None, RowStatus.CREATED):
        statement = statement.where(rows.c.status != RowStatus.CREATED.value)  # so that the partial index serves
    return statement.order_by(rows.c.row).limit(limit)


async def undecided(connection: AsyncConnection, job: JobRow, found: Sequence[Row[Any]]) -> set[int]:
    """Those of the found rows whose outcome is unknown, and of which nobody has said yet what they saw."""
    unknown = {row.row: row.round for row in found if _is_unknown(row)}
    if not unknown:
        return set()
    decided = await connection.execute(
        select(resolutions.c.row, resolutions.c.round).where(
            resolutions.c.job_id == job.job_id, resolutions.c.row.in_(unknown)
        )
    )
    return {row for row, _ in unknown.items() - {(row, round_) for row, round_ in decided}}


def _is_unknown(row: Row[Any]) -> bool:
    return bool(row.status == RowStatus.FAILED and row.error_code == RowErrorCode.OUTCOME_UNKNOWN)


def shown_status(row: Row[Any], activated: Collection[str]) -> RowAnswerStatus:
    """A created row of an activated batch is `created_and_activated`."""
    if row.status == RowStatus.CREATED and row.batch_id in activated:
        return "created_and_activated"
    status: RowAnswerStatus = row.status
    return status
