"""What the service answers: the shapes, for people's programs and for the API's documentation."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.status.model.corrections import AnswerOutcome
from services.status.model.eta import WaitingFor
from services.status.model.job_state import JobStatus
from services.status.queries.examples import JOB, JOB_IN_FULL, ROW
from shared.contract.events import CancelReason, RowErrorCode

RowAnswerStatus = Literal["created", "created_and_activated", "failed", "unprocessed"]


class HospitalAnswer(BaseModel):
    """One row of `result`."""

    row: int
    name: str
    status: RowAnswerStatus


class ResultAnswer(BaseModel):
    """The result in the shape of the original application. Rows that have no result yet do not appear."""

    batch_id: str
    total_hospitals: int
    processed_hospitals: int
    failed_hospitals: int
    processing_time_seconds: float | None
    batch_activated: bool
    hospitals: list[HospitalAnswer]


class JobSummary(BaseModel):
    """A job in the list."""

    model_config = ConfigDict(json_schema_extra={"example": JOB})

    job_id: str
    file_name: str
    status: JobStatus
    outcome: Annotated[
        AnswerOutcome | None,
        Field(
            description="How it ended; null while it runs. `all_created_after_correction`: no row of it is open, since "
            "the jobs in `corrected_by` created the others"
        ),
    ]
    message: Annotated[str, Field(description="For a person")]
    total_hospitals: int
    processed_hospitals: Annotated[int, Field(description="created + failed + unprocessed")]
    created_hospitals: int
    failed_hospitals: int
    unprocessed_hospitals: Annotated[int, Field(description="Not sent, because the job was cancelled")]
    unknown_hospitals: Annotated[
        int,
        Field(
            description="Of the failed: may be in the directory all the same. Look, and resolve, or retry: uploaded "
            "again they could be there twice"
        ),
    ]
    corrects: Annotated[str | None, Field(description="The job that this one corrects")]
    corrected_by: Annotated[list[str], Field(description="The jobs that correct this one, oldest first")]
    corrected_hospitals: Annotated[
        int,
        Field(description="Of the failed and unprocessed: stand again in a correction, and are open there if at all"),
    ]
    progress_percentage: Annotated[float, Field(ge=0, le=100)]
    activated: Annotated[bool, Field(description="Whether all batches are activated in the directory")]
    created_at: datetime
    started_at: Annotated[datetime | None, Field(description="When the first row was taken up")]
    completed_at: datetime | None
    cancel_requested_at: Annotated[
        datetime | None, Field(description="When somebody cancelled it; null: nobody did, or it was retried since")
    ]
    cancel_reason: Annotated[
        CancelReason | None,
        Field(description="Who cancelled it: `user`, or `max_failures`, since more rows failed than the upload allows"),
    ]
    processing_time_seconds: Annotated[float | None, Field(description="What the last round took; null while it runs")]
    active_seconds: Annotated[float, Field(description="The time with work, over all rounds so far")]
    eta_seconds: Annotated[
        float | None, Field(description="At the pace of late, else at the configured one; null: nobody can know")
    ]
    waiting_for: Annotated[WaitingFor | None, Field(description="Why it is slow; null when it flows")]
    waiting_since: Annotated[
        datetime | None, Field(description="Since when nothing is sent, for `circuit_breaker` and `paused`")
    ]
    next_try_at: Annotated[
        datetime | None,
        Field(
            description="When the directory is called again, for `circuit_breaker`, and for `rate_limit` where it has "
            "asked for silence; null: not known, or nobody waits for that"
        ),
    ]
    error: Annotated[str | None, Field(description="What went wrong with the job as a whole, and what to do")]


class JobAnswer(JobSummary):
    """A job in full."""

    model_config = ConfigDict(json_schema_extra={"example": JOB_IN_FULL})

    batch_ids: list[str]
    result: Annotated[ResultAnswer | None, Field(description="For jobs of up to 1,000 rows; see the rows for others")]


class JobList(BaseModel):
    """A page of jobs, newest first."""

    total_jobs: int
    jobs: list[JobSummary]
    next_cursor: Annotated[str | None, Field(description="Give it as `cursor` for the next page; null on the last")]


class RowAnswer(BaseModel):
    """A row that has a result. `row`: its line in a spreadsheet; the first data row is 2, or 1 without a header."""

    model_config = ConfigDict(json_schema_extra={"example": ROW})

    row: int
    name: str
    status: RowAnswerStatus
    hospital_id: int | str | None
    attempts: int
    error_code: Annotated[RowErrorCode | None, Field(description="Why it failed; a retry can choose by it")]
    error: str | None
    outcome_unknown: Annotated[
        bool, Field(description="It may be in the directory or not: somebody has to look, and to resolve it")
    ] = False
    corrected: Annotated[bool, Field(description="It stands again in a correction: it is not open here")] = False


class RowList(BaseModel):
    """A page of rows, in the order of the file."""

    rows: list[RowAnswer]
    next_cursor: Annotated[str | None, Field(description="Give it as `cursor` for the next page; null on the last")]


#: Their examples have nulls, which FastAPI would leave out.
WITH_EXAMPLES: Final = (JobAnswer, JobList, RowList)
