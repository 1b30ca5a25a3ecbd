"""What JobFinished says of a job's rows: counts and one hash, both from one reading that holds only a page of them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.model.row_results import RowStatus, own_cells
from services.status.tables.definitions import rows
from services.status.tables.row_lookup import last_row, row_range
from shared.contract.events import OutcomeRoots
from shared.contract.outcomes_digest import OutcomesDigest
from shared.contract.outcomes_tree import OutcomesTree

#: Thousands at once would keep callers of the API waiting.
PAGE_ROWS: Final = 1_000
_READ: Final = (rows.c.row, rows.c.status, rows.c.hospital_id, rows.c.columns)


@dataclass(frozen=True, slots=True)
class Manifest:
    """How many rows have which outcome, and the hash over all of them."""

    created: int
    failed: int
    unprocessed: int
    sha256: str
    roots: OutcomeRoots

    @property
    def total(self) -> int:
        """How many rows have an outcome."""
        return self.created + self.failed + self.unprocessed


async def read_manifest(
    engine: AsyncEngine, job_id: str, columns: Sequence[str], page_rows: int = PAGE_ROWS
) -> Manifest:
    """Reads the job's rows once, a page at a time. `columns`: of the job. Raises SQLAlchemyError, OSError."""
    counts: Counter[str] = Counter()
    digest, tree = OutcomesDigest(), OutcomesTree()
    async with engine.connect() as connection:
        end = await last_row(connection, job_id)
    for after in range(0, end, page_rows):
        statement = select(*_READ).where(*row_range(job_id, after, page_rows))
        async with engine.connect() as connection:
            page = list(await connection.execute(statement.order_by(rows.c.row)))
        for row, status, stored_id, uploaded in page:
            counts[status] += 1
            hospital_id = None if stored_id is None else json.loads(stored_id)
            digest.add(row, status, hospital_id)
            tree.add(row, status, hospital_id, own_cells(uploaded, columns))
    return Manifest(
        created=counts[RowStatus.CREATED.value],
        failed=counts[RowStatus.FAILED.value],
        unprocessed=counts[RowStatus.UNPROCESSED.value],
        sha256=digest.hexdigest(),
        roots=tree.roots(),
    )
