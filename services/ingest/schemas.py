"""What the API answers, with examples for its documentation."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.runtime.http.problems import KAFKA_DOWN, ProblemDocument, RowProblem

_JOB_ID: Final = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"
_BATCH_ID: Final = "0b0f5f5e-7c39-4f35-8b0d-2f4a4f3c9d21"
_SAME_FILE: Final[dict[str, JsonValue]] = {
    "job_id": "b7f3a2de-96b5-4e6a-8a49-6f3f6a3d4c10",
    "created_at": "2026-03-01T09:30:00Z",
}


class SameFileAs(BaseModel):
    """A job that the same bytes became in the last 30 days."""

    job_id: str
    created_at: datetime


class UploadAccepted(BaseModel):
    """The file is a job now; `Location` says where to ask for its status."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "job_id": _JOB_ID,
                "status": "pending",
                "message": "Bulk processing started",
                "total_hospitals": 25,
                "batch_ids": [_BATCH_ID],
                "same_file_as": [],
            }
        }
    )

    job_id: str
    status: Literal["pending"] = "pending"
    message: str = "Bulk processing started"
    total_hospitals: int
    batch_ids: tuple[str, ...]
    same_file_as: list[SameFileAs]


class FileChecked(BaseModel):
    """What an upload of the file would answer; nothing was stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "valid": False,
                "total_hospitals": 25,
                "errors": [{"row": 7, "column": "address", "message": "The address is missing."}],
                "estimated_seconds": 2.5,
                "same_file_as": [_SAME_FILE],
            }
        }
    )

    valid: bool
    total_hospitals: int
    #: At most 1,000.
    errors: list[RowProblem]
    estimated_seconds: float | None = Field(description="At the configured rate; null when there is no limit.")
    same_file_as: list[SameFileAs]


def _problem(
    status: int, description: str, error_type: str, detail: str, errors: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:hospital-bulk:problem:{error_type}",
        "title": description,
        "status": status,
        "detail": detail,
        "error_type": error_type,
    }
    if errors:
        example["errors"] = errors
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    content = {"application/problem+json": {"schema": schema, "example": example}}
    return {"description": description, "content": content}


_BAD_ROW: Final = {"row": 7, "column": "address", "message": "The address is missing."}
READING_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem(400, "Bad Request", "invalid_file", "The file has 1 error; nothing was stored.", [_BAD_ROW]),
    401: _problem(401, "Unauthorized", "unauthorized", "Send a valid API key in the header X-API-Key."),
    408: _problem(408, "Request Timeout", "upload_too_slow", "The upload took too long. Please send it again."),
    413: _problem(413, "Content Too Large", "file_too_large", "The file is larger than 150 MB."),
    415: _problem(415, "Unsupported Media Type", "not_a_csv", "'notes.pdf' is not a CSV file."),
    429: _problem(429, "Too Many Requests", "too_many_uploads", "More than 3,000 uploads in a minute."),
    503: _problem(503, "Service Unavailable", "message_queue_unavailable", KAFKA_DOWN),
}
UPLOAD_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    **READING_PROBLEMS,
    409: _problem(409, "Conflict", "in_progress", "An upload with this Idempotency-Key is still in progress."),
    422: _problem(422, "Unprocessable Content", "key_reused", "This Idempotency-Key belongs to another upload."),
}
#: FastAPI learns of the body from here, since it must not read it by itself.
FILE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "CSV, UTF-8"}},
                }
            }
        },
    }
}
