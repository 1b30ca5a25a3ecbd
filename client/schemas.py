"""What the service answers, as far as this command reads it; what it does not know it passes on to `--json`."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

FINAL = frozenset({"completed", "failed", "cancelled"})


class Document(BaseModel):
    """A JSON object, with whatever a newer service puts into it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def raw(self) -> dict[str, Any]:
        """The whole object, unknown members too."""
        return self.model_dump(mode="json")


class Done(Document):
    """The answer to a request that has no more to tell than a sentence."""

    message: str | None = None


class SameFile(Document):
    """A job that the same bytes became before."""

    job_id: str
    created_at: datetime


class RowProblem(Document):
    """One thing wrong with a file. `row` is the line a spreadsheet shows; None when it is not about a row."""

    row: int | None = None
    column: str | None = None
    message: str


class Accepted(Document):
    """The file is a job now."""

    job_id: str
    total_hospitals: int


class Checked(Document):
    """What an upload of the file would become."""

    valid: bool
    total_hospitals: int
    errors: list[RowProblem] = []
    estimated_seconds: float | None = None
    same_file_as: list[SameFile] = []


class Job(Document):
    """How a job is."""

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
    activated: bool = False
    created_at: datetime
    completed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    processing_time_seconds: float | None = None
    eta_seconds: float | None = None
    waiting_for: str | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it has come to an end."""
        return self.status in FINAL

    @property
    def cancelling(self) -> bool:
        """Whether somebody cancelled it, and it has not ended yet."""
        return (
            self.cancel_requested_at is not None and not self.ended and self.processed_hospitals < self.total_hospitals
        )

    @property
    def percent(self) -> int:
        """Rounded down: 100 means all."""
        return 100 * self.processed_hospitals // max(self.total_hospitals, 1)


class JobPage(Document):
    """A page of jobs, newest first."""

    total_jobs: int
    jobs: list[Job]
    next_cursor: str | None = None


class Activation(Done):
    """What became of an activation."""

    activated: bool


class Problem(Document):
    """A problem document (RFC 9457); a proxy's own error page has none of this."""

    detail: str | None = None
    error_type: str | None = None
    errors: list[RowProblem] = []
