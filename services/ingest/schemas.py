"""What the API answers, and a mapping as it is asked for, with examples for its documentation."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.runtime.http.row_problems import EncodingGuess, RowProblem

#: Most columns that become one field.
MAX_JOINED: Final = 20
_JOB_ID: Final = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"
_BATCH_ID: Final = "0b0f5f5e-7c39-4f35-8b0d-2f4a4f3c9d21"
_MAPPING: Final[dict[str, JsonValue]] = {
    "name": ["Hospital Name"],
    "address": ["ADDRESS"],
    "phone": ["TELEPHONE"],
    "unused": ["CITY", "BEDS"],
}
BAD_ROW: Final[dict[str, JsonValue]] = {
    "row": 7,
    "column": "address",
    "code": "missing_value",
    "message": "The address is missing.",
    "value": None,
}
_UNUSED_COLUMN: Final[dict[str, JsonValue]] = {
    "row": 1,
    "column": "CITY",
    "code": "unused_column",
    "message": "The column 'CITY' is not sent to the directory.",
    "value": None,
}
_CREATED: Final[dict[str, JsonValue]] = {
    "count": 1,
    "rows": [{"row": 9, "job_id": "b7f3a2de-96b5-4e6a-8a49-6f3f6a3d4c10", "job_row": 4}],
}
_SAME_FILE: Final[dict[str, JsonValue]] = {
    "job_id": "b7f3a2de-96b5-4e6a-8a49-6f3f6a3d4c10",
    "created_at": "2026-03-01T09:30:00Z",
}


class SameFileAs(BaseModel):
    """A job that the same bytes became in the last 30 days."""

    job_id: str
    created_at: datetime


class CreatedBefore(BaseModel):
    """A row that is alike to one that an earlier job has created."""

    row: int
    job_id: str
    job_row: int


class AlreadyCreated(BaseModel):
    """The rows that are alike to rows which jobs of the last 30 days have created."""

    count: int
    rows: list[CreatedBefore] = Field(description="The first ten.")


ColumnName = Annotated[str, Field(min_length=1)]
#: A column, or several that are joined.
Columns = (
    ColumnName | Annotated[list[ColumnName], Field(max_length=MAX_JOINED, json_schema_extra={"uniqueItems": True})]
)


class ColumnMapping(BaseModel):
    """Which columns are which, as a request says it. Null means none; what is left out is found by its name."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Hospital Name", "address": ["ADDRESS1", "CITY"]}}
    )

    name: Columns | None = None
    address: Columns | None = None
    phone: Columns | None = None


class ColumnsRead(BaseModel):
    """The columns that each field was read from, by their names. Several were joined with a comma and a space."""

    name: list[str]
    address: list[str]
    phone: list[str]
    #: Kept for the result files, and not sent to the directory.
    unused: list[str]


class SampleRow(BaseModel):
    """A hospital as it will be sent to the directory."""

    row: int
    name: str
    address: str
    phone: str | None


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
                "mapping": _MAPPING,
                "warnings_total": 0,
                "same_file_as": [],
                "already_created": {"count": 0, "rows": []},
                "corrects": None,
            }
        }
    )

    job_id: str
    status: Literal["pending"] = "pending"
    message: str = "Bulk processing started"
    total_hospitals: int
    batch_ids: tuple[str, ...]
    mapping: ColumnsRead
    warnings_total: int
    same_file_as: list[SameFileAs]
    already_created: AlreadyCreated
    corrects: str | None = Field(description="The job whose rows stand in the file again; null for a new list.")


class FileChecked(BaseModel):
    """What an upload of the file would answer, and how the file was read; nothing was stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "valid": False,
                "total_hospitals": 25,
                "errors": [BAD_ROW],
                "errors_total": 1,
                "warnings": [_UNUSED_COLUMN],
                "warnings_total": 1,
                "mapping": _MAPPING,
                "encoding": "utf-8",
                "encoding_guesses": [],
                "delimiter": ",",
                "header_row": 1,
                "sheet": None,
                "sheets": [],
                "sample": [{"row": 2, "name": "St. Mary", "address": "1 Main Street", "phone": "+1 555 0101"}],
                "estimated_seconds": 2.5,
                "same_file_as": [_SAME_FILE],
                "already_created": _CREATED,
                "corrects": None,
            }
        }
    )

    valid: bool
    total_hospitals: int
    errors: list[RowProblem] = Field(description="What refuses the file; the first 1,000.")
    errors_total: int
    warnings: list[RowProblem] = Field(description="What looks wrong; the first 1,000.")
    warnings_total: int
    mapping: ColumnsRead | None = Field(description="Null when no header was found.")
    encoding: str | None = Field(description="Null when it is not known, and for workbooks.")
    encoding_guesses: list[EncodingGuess] = Field(description="When the encoding is not known: up to three.")
    delimiter: str | None = Field(description="What separates the columns; null for workbooks.")
    header_row: int | None = Field(description="The row that names the columns, from 1; 0 when none does.")
    sheet: str | None = Field(description="The sheet that was read; null when the file is no workbook.")
    sheets: list[str] = Field(description="The sheets that can be chosen.")
    sample: list[SampleRow] = Field(description="The first five hospitals as they will be sent.")
    estimated_seconds: float | None = Field(description="At the configured rate; null when there is no limit.")
    same_file_as: list[SameFileAs]
    already_created: AlreadyCreated
    corrects: str | None = Field(description="The job whose rows stand in the file again; null for a new list.")
