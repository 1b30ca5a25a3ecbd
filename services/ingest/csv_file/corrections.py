"""Which rows of an earlier job a file has again, by the columns that we add to result files."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.ingest.csv_file.cell_checks import CREATED
from services.ingest.csv_file.header import Header
from services.ingest.csv_file.records import Cells
from shared.contract.row_set import MAX_ROW, encode_rows
from shared.runtime.http.row_problems import ProblemCode, RowProblem

JOB_COLUMN: Final = "result_job_id"
ROW_COLUMN: Final = "result_row"
_FIRST_ROW: Final = 1
_NUMBER: Final = re.compile("[0-9]{1,9}")
_JOB_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def job_id_in(text: str) -> str | None:
    """The id of a job as we write it; None when the text is none."""
    folded = text.strip().lower()
    return folded if _JOB_ID.fullmatch(folded) else None


@dataclass(frozen=True, slots=True)
class Correction:
    """The job that a file corrects. `rows`: which of its rows the file has again, as shared.contract.row_set says."""

    job_id: str
    rows: str = ""


class CorrectedRows:
    """Collects which job's rows a file has. Four bytes of memory a row.

    `named`: the job that the request says is corrected. A row that names no job counts as one of it.
    """

    def __init__(self, header: Header, named: str | None = None) -> None:
        columns = header.ours
        self._job, self._row, self._status = map(columns.get, (JOB_COLUMN, ROW_COLUMN, "result_status"))
        self._named = named
        self._job_id = named
        self._rows = array("I")
        #: The first row of another job, and that job.
        self._other: tuple[int, str] | None = None

    @property
    def are_named(self) -> bool:
        """Whether the file has the columns that say it."""
        return self._row is not None and (self._job is not None or self._named is not None)

    def add(self, row: int, cells: Cells) -> None:
        """Looks at the next row. One that was created is no correction when it comes again."""
        number = _cell(cells, self._row)
        if not (_NUMBER.fullmatch(number) and _FIRST_ROW <= int(number) <= MAX_ROW):
            return
        text = _cell(cells, self._job)
        job_id = job_id_in(text) if text else self._named
        if job_id is None or _cell(cells, self._status) in CREATED:
            return
        if self._job_id is None:
            self._job_id = job_id
        if job_id == self._job_id:
            self._rows.append(int(number))
        elif self._other is None:
            self._other = row, job_id

    def correction(self) -> Correction | None:
        """What the file corrects. Rows of several jobs correct none, unless the request names one of them."""
        if self._job_id is None or (self._other and self._named is None):
            return None
        return Correction(self._job_id, encode_rows(self._rows))

    def problems(self) -> Iterator[RowProblem]:
        """What stands in the way of it."""
        if self._other is None:
            return
        row, job_id = self._other
        if self._named is None:
            message = (
                f"The rows belong to several jobs, such as {self._job_id} and {job_id}, so they correct none of them. "
                "Upload the rows of each job as a file of their own, or name the one that is meant (`corrects`)."
            )
            yield RowProblem(row=row, column=JOB_COLUMN, code=ProblemCode.SEVERAL_JOBS, message=message, value=job_id)
        elif not self._rows:
            message = (
                f"The request says that job {self._named} is corrected (`corrects`), but the rows are of another job. "
                f"Leave `corrects` out, or choose the file of that job."
            )
            yield RowProblem(row=row, column=JOB_COLUMN, code=ProblemCode.OTHER_JOB, message=message, value=job_id)


def _cell(cells: Cells, index: int | None) -> str:
    return cells[index].strip() if index is not None and index < len(cells) else ""
