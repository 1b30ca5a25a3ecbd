"""What people read of a job's state."""

import pytest

from services.status.model import messages
from services.status.model.job_state import JobStatus
from shared.contract.events import JobOutcome


def shown(status, outcome=None, created=0, failed=0, unprocessed=0, *, activated=False):
    counts = {"total": 25, "created": created, "failed": failed, "unprocessed": unprocessed}
    return messages.message(status, outcome, **counts, activated=activated, batch_id="b-1")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (shown(JobStatus.PENDING), "Waiting to process 25 hospitals"),
        (shown(JobStatus.PROCESSING, None, 2, 1), "Processing 3 of 25 hospitals"),
        (shown(JobStatus.PROCESSING, None, 25), "All hospitals created, activating"),
        (shown(JobStatus.PROCESSING, None, 24, 1), "Processed 25 hospitals"),
        (shown(JobStatus.COMPLETED, JobOutcome.ALL_CREATED, 25, activated=True), "All hospitals created and activated"),
        (
            shown(JobStatus.COMPLETED, JobOutcome.ALL_CREATED, 25),
            "All hospitals created, but not activated: try PATCH /api/v1/hospitals/bulk/batch/b-1/activate",
        ),
        (shown(JobStatus.COMPLETED, JobOutcome.SOME_FAILED, 22, 3), "22 of 25 hospitals created, 3 failed"),
        (
            shown(JobStatus.COMPLETED, JobOutcome.SOME_FAILED, 22, 3, activated=True),
            "22 of 25 hospitals created and activated, 3 failed",
        ),
        (shown(JobStatus.FAILED, JobOutcome.NONE_CREATED, 0, 25), "No hospital was created: 25 of 25 failed"),
        (
            shown(JobStatus.CANCELLED, JobOutcome.CANCELLED, 10, 1, 14),
            "Cancelled: 10 of 25 hospitals created, 1 failed, 14 not sent",
        ),
    ],
)
def test_the_message_says_how_it_stands(said, expected):
    """The first words are those of the original application."""
    assert said == expected


def test_the_error_says_what_went_wrong_with_the_job_as_a_whole():
    """Nothing, the directory's refusal to activate, or every row."""
    assert messages.error("j", JobStatus.COMPLETED, None) is None
    assert "Maintenance" in messages.error("j", JobStatus.COMPLETED, "Maintenance")
    assert "/jobs/j/rows?outcome=failed" in messages.error("j", JobStatus.FAILED, None)
