"""What JobFinished says of a job's rows: counts and one hash, both from one reading that holds only a page of them."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.results import RowStatus
from services.status.tables import rows
from shared.row_outcomes import OutcomesDigest

_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """How many rows have which outcome, and the hash over all of them."""

    created: int
    failed: int
    unprocessed: int
    sha256: str

    @property
    def total(self) -> int:
        """How many rows have an outcome."""
        return self.created + self.failed + self.unprocessed


async def read_manifest(engine: AsyncEngine, job_id: str) -> Manifest:
    """Reads the job's rows once, a page at a time. Raises SQLAlchemyError, OSError."""
    counts: Counter[str] = Counter()
    digest = OutcomesDigest()
    last, more = 0, True
    while more:
        statement = (
            select(rows.c.row, rows.c.status, rows.c.hospital_id)
            .where(rows.c.job_id == job_id, rows.c.row > last)
            .order_by(rows.c.row)
            .limit(_PAGE)
        )
        async with engine.connect() as connection:
            page = list(await connection.execute(statement))
        for row, status, hospital_id in page:
            counts[status] += 1
            digest.add(row, status, None if hospital_id is None else json.loads(hospital_id))
        last, more = (page[-1].row if page else 0), len(page) == _PAGE
    return Manifest(
        created=counts[RowStatus.CREATED.value],
        failed=counts[RowStatus.FAILED.value],
        unprocessed=counts[RowStatus.UNPROCESSED.value],
        sha256=digest.hexdigest(),
    )
