"""What the tables know of corrections: which of a job's rows they name, and which rows are open."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Text, and_, cast, exists, func, or_, select

from services.status.model.corrections import NamedRows
from services.status.model.row_results import CORRECTED, RowStatus
from services.status.tables.definitions import corrections, jobs, rows, tallies
from shared.contract.events import RowErrorCode

#: In place of an error code: rows that were not sent.
UNPROCESSED: Final = RowStatus.UNPROCESSED.value


def joined() -> ColumnElement[bool]:
    """That a link of `corrections` is one: there is such a job, of the same tenant."""
    return and_(
        jobs.c.job_id == corrections.c.corrects,
        jobs.c.tenant == corrections.c.tenant,
        corrections.c.job_id != corrections.c.corrects,
    )


def link_columns() -> tuple[ColumnElement[Any], ...]:
    """Columns for a statement over `jobs`: which job it corrects, and which correct it, for `corrected_by`."""
    return _corrects().label("corrects"), _corrected_by().label("corrections")


def _corrects() -> ScalarSelect[str]:
    other = jobs.alias()
    there = other.c.job_id == corrections.c.corrects, other.c.tenant == corrections.c.tenant
    own = corrections.c.job_id == jobs.c.job_id, corrections.c.job_id != corrections.c.corrects
    return select(corrections.c.corrects).join(other, and_(*there)).where(*own).correlate(jobs).scalar_subquery()


def _corrected_by() -> ScalarSelect[str]:
    other = jobs.alias()
    seen = func.aggregate_strings(cast(other.c.created_at, Text) + " " + other.c.job_id, "\n")
    there = other.c.job_id == corrections.c.job_id, other.c.tenant == corrections.c.tenant
    own = corrections.c.corrects == jobs.c.job_id, corrections.c.tenant == jobs.c.tenant
    statement = select(seen).select_from(corrections).join(other, and_(*there))
    return statement.where(*own, corrections.c.job_id != jobs.c.job_id).correlate(jobs).scalar_subquery()


def corrected_by(job: Row[Any]) -> list[str]:
    """The jobs that correct it, in the order in which they were accepted. `job`: with the `link_columns`."""
    pairs = (line.split(" ", 1) for line in (job.corrections or "").splitlines())
    return [job_id for _, job_id in sorted((int(accepted_at), job_id) for accepted_at, job_id in pairs)]


def named_rows(connection: Connection, job_id: str) -> NamedRows:
    """Those of the job's rows that stand again in a correction."""
    statement = select(corrections.c.named_rows).join_from(corrections, jobs, joined())
    found = connection.execute(statement.where(jobs.c.job_id == job_id).order_by(corrections.c.job_id))
    return NamedRows(found.scalars())


def unmatched_corrections(connection: Connection, job_id: str) -> int:
    """How many corrections of the job there are of which nobody knows yet which rows they correct.

    They still run, or have ended and are compared next. One that is being deleted will never be.
    """
    correcting = jobs.alias()
    there = exists().where(correcting.c.job_id == corrections.c.job_id, correcting.c.created_at.is_not(None))
    statement = select(func.count()).select_from(corrections).join(jobs, joined())
    statement = statement.where(jobs.c.job_id == job_id, corrections.c.unmatched, there)
    return int(connection.execute(statement).scalar_one())


def open_rows(connection: Connection, job_id: str, codes: Collection[str] = (), from_round: int = 0) -> dict[str, int]:
    """How many rows can run again, by why they have no hospital: open ones of these codes, or all where none is given.

    Counted by the database: a million rows are not to be read. `from_round`: rows of earlier rounds are running.
    """
    code = func.coalesce(rows.c.error_code, UNPROCESSED)
    wanted = (rows.c.job_id == job_id, rows.c.round >= from_round, *retryable(codes))
    found = connection.execute(select(code, func.count()).where(*wanted).group_by(code))
    counts = {each: hospitals for each, hospitals in found}  # noqa: C416 - rows, not pairs
    corrected = select(tallies.c.status, func.sum(tallies.c.hospitals)).where(
        tallies.c.job_id == job_id, tallies.c.round >= from_round, tallies.c.status.startswith(CORRECTED)
    )
    for status, hospitals in connection.execute(corrected.group_by(tallies.c.status)):
        if (each := status.removeprefix(CORRECTED)) in counts:
            counts[each] -= int(hospitals)
    return {each: hospitals for each, hospitals in counts.items() if hospitals > 0}


def retryable(codes: Collection[str] = ()) -> tuple[ColumnElement[bool], ...]:
    """The conditions for a row that can run again: it has no hospital, and its columns could be read."""
    readable = or_(rows.c.error_code.is_(None), rows.c.error_code != RowErrorCode.UNDECODABLE.value)
    without_hospital = rows.c.status != RowStatus.CREATED.value
    if not codes:
        return without_hospital, readable
    not_sent = [rows.c.status == UNPROCESSED] if UNPROCESSED in codes else []
    return without_hospital, readable, or_(rows.c.error_code.in_(codes), *not_sent)


def is_chosen(row: Row[Any], codes: Collection[str]) -> bool:
    """Whether a row without a hospital has one of these codes; any row where none is given."""
    code = UNPROCESSED if row.status == UNPROCESSED else row.error_code
    return not codes or code in codes
