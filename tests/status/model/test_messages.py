"""What people read of a job's state."""

import pytest

from services.status.model import messages
from services.status.model.corrections import AnswerOutcome as Outcome
from services.status.model.job_state import JobStatus

INACTIVE = "The created ones are not active until all are created, or somebody activates them"
AFTER = Outcome.ALL_CREATED_AFTER_CORRECTION


def shown(status, outcome=None, created=0, failed=0, unprocessed=0, *, activated=False, **more):
    counts = {"total": 25, "created": created, "failed": failed, "unprocessed": unprocessed}
    return messages.message(status, outcome, **counts, activated=activated, batch_id="b-1", **more)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (shown(JobStatus.PENDING), "Waiting to process 25 hospitals"),
        (shown(JobStatus.PROCESSING, None, 2, 1), "Processing 3 of 25 hospitals"),
        (shown(JobStatus.PROCESSING, None, 25), "All hospitals created, activating"),
        (shown(JobStatus.PROCESSING, None, 24, 1), "Processed 25 hospitals"),
        (
            shown(JobStatus.COMPLETED, Outcome.ALL_CREATED, 25, activated=True),
            "All hospitals created and activated",
        ),
        (
            shown(JobStatus.COMPLETED, Outcome.ALL_CREATED, 25),
            "All hospitals created, but not activated: try PATCH /api/v1/hospitals/bulk/batch/b-1/activate",
        ),
        (
            shown(JobStatus.COMPLETED, Outcome.SOME_FAILED, 22, 3),
            f"22 of 25 hospitals created, 3 failed. {INACTIVE}",
        ),
        (
            shown(JobStatus.COMPLETED, Outcome.SOME_FAILED, 22, 3, corrected=2),
            f"22 of 25 hospitals created, 3 failed, 2 of them corrected in another upload. {INACTIVE}",
        ),
        (
            shown(JobStatus.COMPLETED, AFTER, 22, 3, corrected=3),
            "All 25 hospitals created, 3 of them after correction, activating",
        ),
        (
            shown(JobStatus.COMPLETED, AFTER, 22, 3, corrected=3, activated=True),
            "All 25 hospitals created, 3 of them after correction, and activated",
        ),
        (
            shown(JobStatus.CANCELLED, AFTER, 22, 3, corrected=3, refused=True),
            "All 25 hospitals created, 3 of them after correction, but not all activated: "
            "try PATCH /api/v1/hospitals/bulk/batch/b-1/activate",
        ),
        (shown(JobStatus.FAILED, AFTER, 0, 25, corrected=25), "All 25 hospitals created after correction"),
        (
            shown(JobStatus.PROCESSING, None, 3, 6, cancelling=True, most_failures=5),
            "Stopped, since more than 5 failed: 9 of 25 hospitals have their result, "
            "what was not sent will not be sent",
        ),
        (
            shown(JobStatus.CANCELLED, Outcome.CANCELLED, 0, 6, 19, most_failures=5),
            "Stopped, since more than 5 failed: 0 of 25 hospitals created, 6 failed, 19 not sent",
        ),
        (
            shown(JobStatus.COMPLETED, Outcome.SOME_FAILED, 22, 3, activated=True),
            "22 of 25 hospitals created and activated, 3 failed",
        ),
        (shown(JobStatus.FAILED, Outcome.NONE_CREATED, 0, 25), "No hospital was created: 25 of 25 failed"),
        (
            shown(JobStatus.CANCELLED, Outcome.CANCELLED, 10, 1, 14),
            f"Cancelled: 10 of 25 hospitals created, 1 failed, 14 not sent. {INACTIVE}",
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
    assert messages.error("j", JobStatus.FAILED, None, AFTER) is None
