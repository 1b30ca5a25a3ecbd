"""A job whose file has not been read yet."""

from dataclasses import dataclass
from datetime import datetime

from services.ingest.job_events.max_failures import MaxFailures


@dataclass(frozen=True, slots=True)
class JobDraft:
    """What is known of a job before its file has been read."""

    tenant: str
    job_id: str
    file_name: str
    file_sha256: str
    accepted_at: datetime
    traceparent: str | None
    batch_rows: int
    express_max_rows: int
    #: How many partitions the topics of rows have.
    partitions: int
    #: More failed rows than this stop the job.
    max_failures: MaxFailures | None = None
