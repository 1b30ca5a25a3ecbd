"""What the tables know of rows."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, and_, literal, select, tuple_

from services.status.model.row_results import RowStatus
from services.status.queries.job_queries import JobRow
from services.status.queries.schemas import RowAnswerStatus
from services.status.tables.column_limits import LARGEST
from services.status.tables.definitions import resolutions, rows
from shared.contract.events import RowErrorCode

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


def row_page(connection: Connection, job: JobRow, outcome: RowStatus | None, after: int, limit: int) -> list[Row[Any]]:
    """Rows that have a result, in the order of the file, after a row."""
    return list(connection.execute(_page(select(*_SHOWN), job, outcome, after, limit)))


def result_page(
    connection: Connection, job: JobRow, outcome: RowStatus | None, after: int, limit: int
) -> list[Row[Any]]:
    """The same, with all columns of result files."""
    return list(connection.execute(_page(select(*_IN_FILES), job, outcome, after, limit)))


def _page(statement: Select[Any], job: JobRow, outcome: RowStatus | None, after: int, limit: int) -> Select[Any]:
    if outcome in (None, RowStatus.CREATED):
        # Two ends and no equality, since PostgreSQL takes rows that equal something for few when it does not know its
        # tables well: it would sort all the rest of a million rows for every page.
        place = tuple_(rows.c.job_id, rows.c.row)
        begin, end = tuple_(job.job_id, after), tuple_(job.job_id, LARGEST)
        statement = statement.where(place > begin, place <= end).order_by(rows.c.job_id, rows.c.row)
    else:  # said so that the partial index serves, also in a plan that PostgreSQL keeps for all values
        statement = statement.where(rows.c.job_id == job.job_id, rows.c.row > after)
        statement = statement.where(rows.c.status != _literal(RowStatus.CREATED), rows.c.status == _literal(outcome))
        statement = statement.order_by(rows.c.row)
    if outcome is RowStatus.CREATED:
        statement = statement.where(_created())
    elif job.round > 1:  # what failed in an earlier round runs again: it has no result yet
        statement = statement.where(_created() | (rows.c.round >= job.round))
    return statement.limit(limit)


def _literal(status: RowStatus) -> BindParameter[str]:
    return literal(status.value, literal_execute=True)


def _created() -> ColumnElement[bool]:
    """That a row is created, said without an equality: see `_page`."""
    return and_(*(rows.c.status != status.value for status in RowStatus if status is not RowStatus.CREATED))


def undecided(connection: Connection, job: JobRow, found: Sequence[Row[Any]]) -> set[int]:
    """The numbers of those found rows whose outcome is unknown, and about which nobody has decided."""
    unknown = {row.row: row.round for row in found if _is_unknown(row)}
    if not unknown:
        return set()
    decided = connection.execute(
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
