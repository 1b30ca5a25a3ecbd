"""The sentences about a job's state, for a person."""

from services.status.model.job_state import JobStatus
from shared.contract.events import JobOutcome


def message(
    status: JobStatus,
    outcome: JobOutcome | None,
    *,
    total: int,
    created: int,
    failed: int,
    unprocessed: int,
    activated: bool,
    cancelling: bool = False,
    batch_id: str | None = None,
) -> str:
    """One sentence. `batch_id`: the one that a person could activate by hand."""
    processed = created + failed + unprocessed
    match status:
        case JobStatus.PENDING | JobStatus.PROCESSING if cancelling and processed < total:
            return f"Cancelling: {processed} of {total} hospitals have their result, what was not sent will not be sent"
        case JobStatus.PENDING:
            return f"Waiting to process {total} hospitals"
        case JobStatus.PROCESSING if processed < total:
            return f"Processing {processed} of {total} hospitals"
        case JobStatus.PROCESSING:
            return "All hospitals created, activating" if created == total else f"Processed {total} hospitals"
        case JobStatus.CANCELLED:
            return f"Cancelled: {created} of {total} hospitals created, {failed} failed, {unprocessed} not sent"
        case JobStatus.FAILED:
            return f"No hospital was created: {failed} of {total} failed"
        case JobStatus.COMPLETED if outcome is JobOutcome.ALL_CREATED:
            return "All hospitals created and activated" if activated else _not_activated(batch_id)
        case JobStatus.COMPLETED:
            return f"{created} of {total} hospitals created{' and activated' if activated else ''}, {failed} failed"


def _not_activated(batch_id: str | None) -> str:
    return f"All hospitals created, but not activated: try PATCH {activation_path(batch_id or '{batch_id}')}"


def activation_path(batch_id: str) -> str:
    """Where a batch is activated by hand."""
    return f"/api/v1/hospitals/bulk/batch/{batch_id}/activate"


def error(job_id: str, status: JobStatus, refusal: str | None) -> str | None:
    """What went wrong with the job as a whole, None when nothing did. `refusal`: the directory's words."""
    if refusal is not None:
        return f"The directory did not activate the hospitals: {refusal}"
    if status is JobStatus.FAILED:
        return f"Every hospital failed: see /api/v1/hospitals/jobs/{job_id}/rows?outcome=failed"
    return None
