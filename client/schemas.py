"""The service's JSON documents, as far as this command reads them. Unknown members are kept for `--json`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

FINAL = frozenset({"completed", "failed", "cancelled"})


class Document(BaseModel):
    """A JSON object; members that a newer service adds are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def raw(self) -> dict[str, Any]:
        """The whole object, unknown members too."""
        return self.model_dump(mode="json")


class CommandResponse(Document):
    """The answer to a command: a sentence for the person."""

    message: str | None = None


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class OutcomeRoots(Document):
    """The root of the Merkle tree over the rows of each outcome."""

    created: Sha256
    failed: Sha256
    unprocessed: Sha256

    def of(self, outcome: str) -> str:
        """That of one outcome."""
        root: str = getattr(self, outcome)
        return root


class Receipt(Document):
    """What a job finished with."""

    job_id: str
    round: int
    outcomes_root: Sha256
    outcome_roots: OutcomeRoots


class SameFile(Document):
    """An earlier job of the same bytes."""

    job_id: str
    created_at: datetime


class RowProblem(Document):
    """One error of a file. `row`: as a spreadsheet counts (first data row: 2); None when it is not about a row."""

    row: int | None = None
    column: str | None = None
    #: Its kind; an older service does not tell.
    code: str | None = None
    message: str
    #: The cell, cut at 100 characters.
    value: str | None = None


class EncodingGuess(Document):
    """An encoding that a file may be in, with the first words that show whether it is."""

    encoding: str
    sample: str = ""


class ColumnsRead(Document):
    """The columns that each field was read from, by their names; none when the list is empty."""

    name: list[str] = []
    address: list[str] = []
    phone: list[str] = []
    unused: list[str] = []


class SampleRow(Document):
    """A hospital as it will be sent."""

    row: int
    name: str
    address: str
    phone: str | None = None


class CreatedBefore(Document):
    """A row that is alike to one that an earlier job has created."""

    row: int
    job_id: str
    job_row: int


class AlreadyCreated(Document):
    """Rows that are alike to rows of earlier jobs; the first ten are listed."""

    count: int = 0
    rows: list[CreatedBefore] = []


class AcceptedUpload(Document):
    """The answer to an upload: the file is a job now. `corrects`: the job whose rows it has again."""

    job_id: str
    total_hospitals: int
    corrects: str | None = None


class ErrorsFound(Document):
    """What is wrong with a file: at most 1,000 errors are listed, `errors_total` is their true number."""

    errors: list[RowProblem] = []
    errors_total: int | None = None
    #: When the encoding is not known.
    encoding_guesses: list[EncodingGuess] = []

    @property
    def errors_count(self) -> int:
        """How many errors there are; an older service tells only of those that it lists."""
        return self.errors_total or len(self.errors)


class ValidationReport(ErrorsFound):
    """The answer to `validate`: what an upload of the file would become. An older service does not say how it reads."""

    valid: bool
    total_hospitals: int
    warnings: list[RowProblem] = []
    warnings_total: int | None = None
    mapping: ColumnsRead | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    sheet: str | None = None
    sheets: list[str] = []
    sample: list[SampleRow] = []
    already_created: AlreadyCreated = AlreadyCreated()
    corrects: str | None = None
    estimated_seconds: float | None = None
    same_file_as: list[SameFile] = []

    @property
    def warnings_count(self) -> int:
        """How many warnings there are."""
        return self.warnings_total or len(self.warnings)


class Job(Document):
    """A job as it is now."""

    job_id: str
    file_name: str
    status: str
    outcome: str | None = None
    message: str
    total_hospitals: int
    processed_hospitals: int
    created_hospitals: int
    failed_hospitals: int
    unprocessed_hospitals: int = 0
    unknown_hospitals: int = 0
    corrects: str | None = None
    corrected_by: list[str] = []
    corrected_hospitals: int = 0
    activated: bool = False
    created_at: datetime
    completed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    processing_time_seconds: float | None = None
    #: Over all rounds; an older service tells only of the last.
    active_seconds: float | None = None
    eta_seconds: float | None = None
    waiting_for: str | None = None
    waiting_since: datetime | None = None
    next_try_at: datetime | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in FINAL

    @property
    def cancelling(self) -> bool:
        """Whether it was cancelled and still has rows without a result."""
        return (
            self.cancel_requested_at is not None and not self.ended and self.processed_hospitals < self.total_hospitals
        )

    @property
    def percent(self) -> int:
        """Share of rows with a result, rounded down: 100 means all."""
        return 100 * self.processed_hospitals // max(self.total_hospitals, 1)


class HistoryEntry(Document):
    """A command that somebody gave, or the end of a round."""

    at: datetime
    kind: str
    round: int | None = None
    requested_by: str | None = None
    reason: str | None = None
    codes: list[str] | None = None
    ignored: bool = False
    row: int | None = None
    hospital_id: int | str | None = None
    batch_id: str | None = None
    outcome: str | None = None


class JobHistory(Document):
    """A page of what has happened to a job, in order."""

    entries: list[HistoryEntry]
    next_cursor: str | None = None


class JobPage(Document):
    """A page of jobs, newest first."""

    total_jobs: int
    jobs: list[Job]
    next_cursor: str | None = None


class Activation(CommandResponse):
    """The answer to an activation by hand."""

    activated: bool


class Problem(ErrorsFound):
    """A problem document (RFC 9457). All members are optional: a proxy's JSON error may have none of them."""

    detail: str | None = None
    error_type: str | None = None
