"""The sentences about a job's state, for a person."""

from services.status.model.corrections import AnswerOutcome
from services.status.model.job_state import JobStatus

_INACTIVE = "The created ones are not active until all are created, or somebody activates them"


def message(
    status: JobStatus,
    outcome: AnswerOutcome | None,
    *,
    total: int,
    created: int,
    failed: int,
    unprocessed: int,
    activated: bool,
    corrected: int = 0,
    cancelling: bool = False,
    most_failures: int | None = None,
    refused: bool = False,
    batch_id: str | None = None,
) -> str:
    """How it stands, and why what was created is not active.

    `most_failures`: the job was stopped since more rows failed; `refused`: the directory did not activate the
    hospitals; `batch_id`: the one that a person could activate by hand.
    """
    processed = created + failed + unprocessed
    why = "" if most_failures is None else f"Stopped, since more than {most_failures} failed: "
    match status:
        case JobStatus.PENDING | JobStatus.PROCESSING if cancelling and processed < total:
            doing = why or "Cancelling: "
            return f"{doing}{processed} of {total} hospitals have their result, what was not sent will not be sent"
        case JobStatus.PENDING:
            return f"Waiting to process {total} hospitals"
        case JobStatus.PROCESSING if processed < total:
            return f"Processing {processed} of {total} hospitals"
        case JobStatus.PROCESSING:
            return "All hospitals created, activating" if created == total else f"Processed {total} hospitals"
        case _ if outcome is AnswerOutcome.ALL_CREATED_AFTER_CORRECTION:
            return _after_correction(total, corrected, activated=activated, refused=refused, batch_id=batch_id)
        case JobStatus.COMPLETED if outcome is AnswerOutcome.ALL_CREATED:
            return "All hospitals created and activated" if activated else _not_activated(batch_id)
        case JobStatus.FAILED:
            return f"{why}No hospital was created: {failed} of {total} failed{_corrected(corrected)}"
        case JobStatus.CANCELLED:
            counts = f"{created} of {total} hospitals created, {failed} failed, {unprocessed} not sent"
            return f"{why or 'Cancelled: '}{counts}{_corrected(corrected)}{_inactive(created, activated=activated)}"
        case JobStatus.COMPLETED:
            counts = f"{created} of {total} hospitals created{' and activated' if activated else ''}, {failed} failed"
            return f"{counts}{_corrected(corrected)}{_inactive(created, activated=activated)}"


def _after_correction(total: int, corrected: int, *, activated: bool, refused: bool, batch_id: str | None) -> str:
    text = f"All {total} hospitals created, {corrected} of them after correction"
    if corrected == total:
        text = f"All {total} hospitals created after correction"  # in other jobs: none of this one is to be activated
    elif activated:
        text += ", and activated"
    elif refused:
        text += f", but not all activated: try PATCH {activation_path(batch_id or '{batch_id}')}"
    else:
        text += ", activating"
    return text


def _corrected(corrected: int) -> str:
    return f", {corrected} of them corrected in another upload" if corrected else ""


def _inactive(created: int, *, activated: bool) -> str:
    return "" if activated or not created else f". {_INACTIVE}"


def _not_activated(batch_id: str | None) -> str:
    return f"All hospitals created, but not activated: try PATCH {activation_path(batch_id or '{batch_id}')}"


def activation_path(batch_id: str) -> str:
    """Where a batch is activated by hand."""
    return f"/api/v1/hospitals/bulk/batch/{batch_id}/activate"


def error(job_id: str, status: JobStatus, refusal: str | None, outcome: AnswerOutcome | None = None) -> str | None:
    """What went wrong with the job as a whole, None when nothing did. `refusal`: the directory's words."""
    if refusal is not None:
        return f"The directory did not activate the hospitals: {refusal}"
    if status is JobStatus.FAILED and outcome is not AnswerOutcome.ALL_CREATED_AFTER_CORRECTION:
        return f"Every hospital failed: see /api/v1/hospitals/jobs/{job_id}/rows?outcome=failed"
    return None
