"""Finds which rows a correction corrects whose file does not say it: those alike by name and address.

Results tell both, so both jobs must have ended, and every result must be known. Until then such a correction is only
a link, and the job that it corrects is not retried. Afterwards it names its rows, as if its file had done so. Who looks
is the owner of the correction's partition of hospital.jobs; twice is once.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, FromClause, Row, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.model.uploaded_rows import uploaded_hospital
from services.status.projection.matched_rows import name_rows
from services.status.projection.positions import Positions
from services.status.tables.change_signal import ChangeSignal
from services.status.tables.definitions import corrections, jobs, rows
from services.status.tables.row_lookup import last_row, row_range
from shared.contract.events import FieldColumns
from shared.contract.hospital_matching import fold
from shared.contract.row_set import encode_rows

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 50
_PAGE_ROWS: Final = 1_000
_ROWS_A_TURN: Final = 50

#: The hash of a hospital's name and address, folded: two million hospitals are not to fill the memory.
_Alike = int


@dataclass(frozen=True, slots=True)
class Matching:
    """Looks for corrections whose rows are to be found, every `poll_seconds`."""

    engine: AsyncEngine
    topic: str
    positions: Positions
    change_signal: ChangeSignal
    poll_seconds: float = 1.0

    async def run(self) -> None:
        """Looks until cancelled; a database that is away is asked again the next time."""
        while True:
            await asyncio.sleep(self.poll_seconds)
            try:
                await self.match_due()
            except (SQLAlchemyError, OSError) as error:
                log.warning("matching_waits", reason=str(error) or type(error).__name__)
            except Exception as error:  # a bug, or a driver's own error, must not end the work in silence
                log.error("matching_fault", exc_info=error)

    async def match_due(self) -> None:
        """Names the rows of corrections whose jobs have ended. Raises SQLAlchemyError or OSError: the rest is left."""
        partitions = self.positions.caught_up(self.topic)
        for correction, corrected in await self._due(partitions) if partitions else ():
            alike = await self._alike(corrected, await self._hospitals(correction))
            if await name_rows(self.engine, correction.job_id, encode_rows(alike)):
                self.change_signal.announce()
                log.info("correction_matched", job_id=correction.job_id, corrects=corrected.job_id, rows=len(alike))

    async def _due(self, partitions: Collection[int]) -> list[tuple[Row[Any], Row[Any]]]:
        correction, corrected = jobs.alias(), jobs.alias()
        both = (
            select(correction.c.job_id, corrected.c.job_id)
            .join_from(corrections, correction, correction.c.job_id == corrections.c.job_id)
            .join(corrected, corrected.c.job_id == corrections.c.corrects)
            .where(corrections.c.unmatched, correction.c.partition.in_(partitions))
            .where(correction.c.tenant == corrected.c.tenant, correction.c.job_id != corrected.c.job_id)
            .where(*_ended(correction), *_ended(corrected))
            .order_by(correction.c.job_id)
            .limit(_AT_ONCE)
        )
        async with self.engine.connect() as connection:
            pairs = list(await connection.execute(both))
            wanted = jobs.c.job_id.in_({job_id for pair in pairs for job_id in pair})
            found = {job.job_id: job for job in await connection.execute(select(jobs).where(wanted))}
        return [(found[one], found[other]) for one, other in pairs if {one, other} <= found.keys()]

    async def _hospitals(self, job: Row[Any]) -> set[_Alike]:
        alike = _comparing(job)
        return {found async for row in self._rows(job) if (found := alike(row)) is not None}

    async def _alike(self, job: Row[Any], hospitals: Collection[_Alike]) -> list[int]:
        """The job's rows that are alike to one of the hospitals."""
        alike = _comparing(job)
        return [row.row async for row in self._rows(job) if alike(row) in hospitals]

    async def _rows(self, job: Row[Any]) -> AsyncIterator[Row[Any]]:
        async with self.engine.connect() as connection:
            end = await last_row(connection, job.job_id)
        for after in range(0, end, _PAGE_ROWS):
            statement = select(rows.c.row, rows.c.columns).where(*row_range(job.job_id, after, _PAGE_ROWS))
            async with self.engine.connect() as connection:
                page: list[Row[Any]] = list(await connection.execute(statement.order_by(rows.c.row)))
            for place, row in enumerate(page):
                if place % _ROWS_A_TURN == 0:
                    await asyncio.sleep(0)  # others want to be answered in between
                yield row


def _ended(job: FromClause) -> tuple[ColumnElement[bool], ...]:
    """That the job has ended. In tables that are made again its end may be read before its results."""
    known = job.c.created_hospitals + job.c.failed_hospitals + job.c.unprocessed_hospitals
    return job.c.finished_round > 0, job.c.due_round.is_(None), known >= job.c.total_hospitals


def _comparing(job: Row[Any]) -> Callable[[Row[Any]], _Alike | None]:
    """What rows of the job are compared by. What made their hospitals is the same for all, and read once."""
    fields = FieldColumns.model_validate_json(job.fields) if job.fields else None
    columns = json.loads(job.columns)

    def alike(row: Row[Any]) -> _Alike | None:
        hospital = uploaded_hospital(json.loads(row.columns), fields, columns)
        return None if hospital is None else hash((fold(hospital.name), fold(hospital.address)))

    return alike
