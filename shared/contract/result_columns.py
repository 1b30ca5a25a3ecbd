"""The columns that status adds to a result file, and that ingest leaves out when the file is uploaded again."""

from typing import Final

RESULT_COLUMNS: Final = (
    "result_row",
    "result_status",
    "result_hospital_id",
    "result_batch_id",
    "result_job_id",
    "result_attempts",
    "result_error_code",
    "result_error",
)
