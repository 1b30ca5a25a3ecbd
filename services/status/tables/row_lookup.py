"""Finds thousands of rows in one statement: by their keys, or a range of a job's rows in the order of the file."""

import json
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Select, String, Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.row_results import RowKey, RowRecord, StoredRow
from services.status.tables.definitions import rows


async def stored_rows(connection: AsyncConnection, keys: Collection[RowKey]) -> dict[RowKey, StoredRow]:
    """What is stored of those rows that are stored."""
    found = await connection.execute(_select(connection.dialect.name, whole=False), _arguments(connection, keys))
    return {(job_id, row): StoredRow(*stored_row) for job_id, row, *stored_row in found}


async def records(connection: AsyncConnection, keys: Collection[RowKey]) -> list[RowRecord]:
    """Those rows that are stored."""
    found = await connection.execute(_select(connection.dialect.name, whole=True), _arguments(connection, keys))
    return [RowRecord(*record) for record in found]


async def last_row(connection: AsyncConnection, job_id: str) -> int:
    """The number of the job's last row that is stored, 0 when there is none."""
    statement = select(func.max(rows.c.row)).where(rows.c.job_id == job_id)
    return (await connection.execute(statement)).scalar_one() or 0


def row_range(job_id: str, after: int, numbers: int) -> tuple[ColumnElement[bool], ...]:
    """The condition for the rows of the next so many numbers.

    It is bounded on both sides. With a LIMIT instead, a database without fresh statistics sorts all the rest of a
    million rows for every page.
    """
    return rows.c.job_id == job_id, rows.c.row > after, rows.c.row <= after + numbers


def _arguments(connection: AsyncConnection, keys: Collection[RowKey]) -> dict[str, object]:
    if connection.dialect.name == "postgresql":
        return {"job_ids": [job_id for job_id, _ in keys], "rows": [row for _, row in keys]}
    return {"keys": json.dumps(list(keys))}


@cache
def _select(dialect: str, *, whole: bool) -> Select[Any]:
    key = [rows.c.job_id, rows.c.row]
    stored_row = [rows.c.round, rows.c.status, rows.c.finished_at, rows.c.error_code, rows.c.carried_over]
    columns = list(rows.c) if whole else key + stored_row
    if dialect == "postgresql":
        given = (
            func.unnest(bindparam("job_ids", type_=ARRAY(Text)), bindparam("rows", type_=ARRAY(Integer)))
            .table_valued("job_id", "row")
            .render_derived()
        )
        return select(*columns).join_from(given, rows, (rows.c.job_id == given.c.job_id) & (rows.c.row == given.c.row))
    each = func.json_each(bindparam("keys", type_=String)).table_valued("value")
    job_id, row = (func.json_extract(each.c.value, path) for path in ("$[0]", "$[1]"))
    return select(*columns).join_from(each, rows, (rows.c.job_id == job_id) & (rows.c.row == row))
