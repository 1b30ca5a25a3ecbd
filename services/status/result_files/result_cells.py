"""What stands in a result file: the input's own cells as they were uploaded, then ours. Pure: no database, no HTTP.

Ours begin with `result_`, by which ingest knows them and leaves them out when the file is uploaded again. They are
guarded against being taken for formulas; the input's own cells are the user's, and stay as they are.
"""

import json
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row

from services.status.model.row_results import RowStatus, own_cells
from services.status.queries.row_queries import shown_status
from shared.contract.events import RowErrorCode
from shared.contract.result_columns import RESULT_COLUMNS

#: The error code of a row that somebody has resolved as absent from the directory.
ABSENT: Final = "absent"
_MAX_ERROR_CHARS: Final = 1_000
#: How a cell begins that a spreadsheet may run (OWASP, CSV injection). The last four are = + - @ in full width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class ResultFileName(StrEnum):
    """Which rows a file holds."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    UNPROCESSED = "unprocessed"
    ALL = "all"

    @property
    def outcome(self) -> RowStatus | None:
        """What became of the rows in it; None when it holds them all."""
        match self:
            case ResultFileName.ALL:
                return None
            case ResultFileName.SUCCESSFUL:
                return RowStatus.CREATED
            case _:
                return RowStatus(self.value)

    @property
    def may_hold_unknown(self) -> bool:
        """Whether rows of unknown outcome may be among them."""
        return self.outcome in (None, RowStatus.FAILED)


class ResultCells:
    """The cells of one job's rows. `activated`: the batches that are active."""

    def __init__(self, job_id: str, columns: Iterable[str], activated: Collection[str]) -> None:
        self._job_id = guarded(job_id)
        self.own_columns = tuple(columns)
        self._activated = activated

    @property
    def columns(self) -> tuple[str, ...]:
        """The header."""
        return (*self.own_columns, *RESULT_COLUMNS)

    def of(self, row: Row[Any], undecided: Collection[int]) -> list[str | int]:
        """A cell for each column. Those that a row does not have are empty: at its end, or all, if it was unreadable.

        `undecided`: rows of unknown outcome about which nobody has decided.
        """
        return [
            *own_cells(row.columns, self.own_columns),
            row.row,
            shown_status(row, self._activated),
            _hospital_id(row.hospital_id),
            guarded(row.batch_id or ""),
            self._job_id,
            row.attempts,
            guarded(_code(row, undecided)),
            guarded((row.error or "")[:_MAX_ERROR_CHARS]),
        ]


def _code(row: Row[Any], undecided: Collection[int]) -> str:
    if row.error_code == RowErrorCode.OUTCOME_UNKNOWN and row.row not in undecided:
        return ABSENT if row.status == RowStatus.FAILED else ""
    return row.error_code or ""


def _hospital_id(stored: str | None) -> str:
    if stored is None or stored.isdecimal():
        return stored or ""
    return guarded(str(json.loads(stored)))


def guarded(cell: str) -> str:
    """The cell as text for every spreadsheet: with an apostrophe before what could begin a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
