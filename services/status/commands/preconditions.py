"""When a command makes sense: pure checks of what the tables say of the job. Each raises a 404 or 409 problem.

cancel    refused when the job has ended, or every row has its result
retry     refused while the job runs or is being wound up, while nobody knows which rows a correction holds, and when no
          row can run again
resolve   refused unless the row's outcome is unknown

What other people did in the same moment is only known when the command has been projected: then it may have come too
late, and is refused all the same.
"""

from collections.abc import Collection
from typing import Any, NoReturn

from sqlalchemy import Row

from services.status.model.job_state import FINAL, JobStatus
from services.status.model.row_results import Decision, RowStatus
from services.status.queries.job_queries import JobRow
from shared.contract.events import RowErrorCode
from shared.runtime.http.problems import Problem


def check_cancel(job: JobRow) -> None:
    """Raises a 409 problem when nothing is left to cancel."""
    if JobStatus(job.status) in FINAL:
        raise Problem(409, "job_ended", f"The job has ended ({job.status}): there is nothing left to cancel.")
    if _processed(job) >= job.total_hospitals:
        raise Problem(409, "job_ended", "Every hospital of the job has its result: there is nothing left to cancel.")


def check_retry(job: JobRow, retryable: int, unmatched: int = 0, codes: Collection[str] = ()) -> None:
    """Raises a 409 problem when no retry can begin now.

    `retryable`: rows that can run again; `unmatched`: corrections that may hold any of the rows; `codes`: those that
    were asked for.
    """
    if JobStatus(job.status) not in FINAL:
        detail = "The job still runs: wait for its end, or cancel it; then what failed or was not sent can be retried."
        raise Problem(409, "job_running", detail, retry_after=5)
    if job.finished_round < job.round:
        detail = "The cancelled job is still being wound up: the processors have not passed all of its rows. Try again."
        raise Problem(409, "job_winding_up", detail, retry_after=5)
    if unmatched:
        detail = (
            "A correction of this job still runs or has not been compared with it yet, and its file does not say which "
            "rows it corrects: wait for it."
        )
        raise Problem(409, "correction_running", detail, retry_after=5)
    if not retryable:
        raise Problem(409, "nothing_to_retry", _nothing_to_retry(job, codes))


def check_activation(job: JobRow) -> None:
    """Raises a 409 problem while rows of the job are still to be created: they would stay inactive."""
    if (processed := _processed(job)) < job.total_hospitals:
        detail = (
            f"The job still runs: {processed} of {job.total_hospitals} hospitals are processed. "
            "When all were created they are activated by themselves; else try again when it has ended."
        )
        raise Problem(409, "job_running", detail, retry_after=5)


def check_resolve(job: JobRow, number: int, row: Row[Any] | None) -> Row[Any]:
    """The row as it is stored. Raises a 404 or 409 problem unless its outcome is unknown.

    A row of which somebody said that it is absent may be resolved again: they may have found it after all.
    """
    if row is None:
        _refuse_missing_row(job, number)
    if row.round < job.round and row.status != RowStatus.CREATED:
        raise Problem(409, "row_running", f"Row {number} runs again: it has no result yet.", retry_after=5)
    if row.status != RowStatus.FAILED or row.error_code != RowErrorCode.OUTCOME_UNKNOWN:
        detail = f"Row {number} is {row.status}: only a row whose outcome is unknown can be resolved by hand."
        raise Problem(409, "row_not_unknown", detail)
    return row


def check_retried(requested: int | None, round_: int) -> None:
    """Raises a 409 problem when a request for the round was ignored: the job had gone on before it."""
    if requested is None or requested < round_:
        raise Problem(
            409, "job_moved_on", "The job went on in the same moment: look at it, and try again.", retry_after=5
        )


def check_decided(stored: Decision | None, made: Decision) -> None:
    """Raises a 409 problem when a decision does not count: another one was made in the same moment, or a retry."""
    if stored is None:
        raise Problem(
            409, "row_running", f"Row {made.row} runs again: somebody has retried the job in the same moment."
        )
    if stored.hospital_id != made.hospital_id:
        detail = f"Somebody else has resolved row {made.row} in the same moment: look at it again."
        raise Problem(409, "row_not_unknown", detail)


def _processed(job: JobRow) -> int:
    return int(job.created_hospitals + job.failed_hospitals + job.unprocessed_hospitals)


def _nothing_to_retry(job: JobRow, codes: Collection[str]) -> str:
    if job.created_hospitals >= job.total_hospitals:
        return "Every hospital of the job was created: there is nothing to retry."
    if codes:
        return f"No row of the job that can be retried has failed with {' or '.join(sorted(codes))}."
    if job.corrected_hospitals:
        return "Every row that failed or was not sent stands in a correction of this job: look there."
    return "The rows that failed could not be read, so they cannot run again: upload them as a new file."


def _refuse_missing_row(job: JobRow, number: int) -> NoReturn:
    if number < 1 or job.finished_round >= job.round or _processed(job) >= job.total_hospitals:
        raise Problem(404, "not_found", f"The job has no row {number}.")
    raise Problem(409, "row_running", f"Row {number} has no result yet.", retry_after=5)
