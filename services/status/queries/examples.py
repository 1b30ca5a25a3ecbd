"""Examples of answers, for the API's documentation."""

from typing import Any, Final

_BATCH_ID: Final = "0b0f5f5e-7c39-4f35-8b0d-2f4a4f3c9d21"
#: A job in the list.
JOB: Final[dict[str, Any]] = {
    "job_id": "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11",
    "file_name": "hospitals.csv",
    "status": "completed",
    "outcome": "some_failed",
    "message": "1 of 2 hospitals created, 1 failed.",
    "total_hospitals": 2,
    "processed_hospitals": 2,
    "created_hospitals": 1,
    "failed_hospitals": 1,
    "unprocessed_hospitals": 0,
    "unknown_hospitals": 0,
    "corrects": None,
    "corrected_by": [],
    "corrected_hospitals": 0,
    "progress_percentage": 100.0,
    "activated": False,
    "created_at": "2026-03-01T09:30:00Z",
    "started_at": "2026-03-01T09:30:01Z",
    "completed_at": "2026-03-01T09:30:02.5Z",
    "cancel_requested_at": None,
    "cancel_reason": None,
    "processing_time_seconds": 1.5,
    "active_seconds": 1.5,
    "eta_seconds": None,
    "waiting_for": None,
    "waiting_since": None,
    "next_try_at": None,
    "error": None,
}
_RESULT: Final = {
    "batch_id": _BATCH_ID,
    "total_hospitals": 2,
    "processed_hospitals": 2,
    "failed_hospitals": 1,
    "processing_time_seconds": 1.5,
    "batch_activated": False,
    "hospitals": [
        {"row": 2, "name": "St. Mary", "status": "created"},
        {"row": 3, "name": "Mercy", "status": "failed"},
    ],
}
JOB_IN_FULL: Final[dict[str, Any]] = {**JOB, "batch_ids": [_BATCH_ID], "result": _RESULT}
ROW: Final[dict[str, Any]] = {
    "row": 3,
    "name": "Mercy",
    "status": "failed",
    "hospital_id": None,
    "attempts": 1,
    "error_code": "rejected",
    "error": "422: a hospital of this name exists",
    "outcome_unknown": False,
    "corrected": False,
}
