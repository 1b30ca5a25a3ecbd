"""The checker of histories: each broken promise is named, with its row."""

import pytest

from shared.contract.events import (
    BatchActivated,
    JobFinished,
    JobOutcome,
    RowAccepted,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowUnprocessed,
    now,
)
from shared.contract.outcomes_digest import OutcomesDigest
from tests.support.history import Activation, Creation, History, violations

ROW = {"tenant": "public", "job_id": "job", "batch_id": "batch", "row": 2, "name": "St. Mary"}
RESULT = {**ROW, "attempts": 1, "started_at": now()}
ACCEPTED = RowAccepted(**ROW, address="1 Main St")
CREATION = Creation(7, "batch", "st. MARY", "1  Main St", None)
CREATED = RowCreated(**RESULT, hospital_id=7)
REJECTED = RowFailed(**RESULT, code=RowErrorCode.REJECTED, message="no")


def finished(**changes: object) -> JobFinished:
    digest = OutcomesDigest()
    digest.add(2, "created", 7)
    facts = {
        "tenant": "public",
        "job_id": "job",
        "outcome": JobOutcome.ALL_CREATED,
        "total_hospitals": 1,
        "created_hospitals": 1,
        "failed_hospitals": 0,
        "unprocessed_hospitals": 0,
        "batch_ids": ("batch",),
        "outcomes_sha256": digest.hexdigest(),
    }
    return JobFinished(**{**facts, **changes})


ACTIVATED = BatchActivated(tenant="public", job_id="job", batch_id="batch", request_id="finished:1")


def test_a_history_that_is_exactly_once():
    """One row, one hospital, one result, its job finished and its batch activated."""
    history = History([ACCEPTED], [CREATED], [CREATION], [finished(), ACTIVATED], [Activation("batch")])
    assert violations(history) == []


def test_a_later_round_counts_and_the_earlier_one_need_not_be_true_any_more():
    """Failed, retried, created."""
    again = ACCEPTED.model_copy(update={"round": 2})
    created = CREATED.model_copy(update={"round": 2})
    assert violations(History([ACCEPTED, again], [REJECTED, created], [CREATION])) == []


def test_a_directory_without_addresses_is_matched_by_the_key_of_the_call():
    """As the sandbox: it logs names and keys."""
    creation = Creation(7, "batch", "St. Mary", "", None, key="job:2:1")
    assert violations(History([ACCEPTED], [CREATED], [creation])) == []


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (History([ACCEPTED], [], []), "no result"),
        (History([ACCEPTED], [], [CREATION]), "created without a result"),
        (History([ACCEPTED], [CREATED, CREATED], [CREATION]), "more than one result"),
        (History([], [CREATED], [CREATION]), "a result of a round that nobody asked for"),
        (History([ACCEPTED], [CREATED], [CREATION, Creation(8, *("batch", "St. Mary", "1 Main St", None))]), "2 times"),
        (History([ACCEPTED], [CREATED], []), "hospital 7 is not this row's"),
        (History([ACCEPTED], [REJECTED], [CREATION]), "failed as rejected, and yet it exists"),
        (History([ACCEPTED], [RowUnprocessed(**RESULT, message="")], [CREATION]), "not sent, it says"),
        (History([], [], [CREATION]), "a hospital that no row asked for"),
        (History([ACCEPTED], [CREATED], [CREATION], [finished(created_hospitals=0)]), "counts wrongly"),
        (History([ACCEPTED], [CREATED], [CREATION], [finished(outcomes_sha256="0" * 64)]), "another digest"),
        (History([ACCEPTED], [REJECTED], [], [finished(outcomes_sha256=None)]), "a wrong outcome"),
        (History([ACCEPTED], [CREATED], [CREATION], [finished()], []), "an activation was never answered"),
        (History([ACCEPTED], [CREATED], [CREATION], [finished(), ACTIVATED], []), "called active, and is not"),
        (History([ACCEPTED], [CREATED], [CREATION], [], [Activation("batch")]), "activated without a request"),
        (History([ACCEPTED], [CREATED], [CREATION], [ACTIVATED]), "an answer to an activation that nobody asked for"),
    ],
)
def test_each_broken_promise_is_named(broken, rule):
    """With the row, the job or the batch, and the events that break it."""
    assert any(rule in str(violation) for violation in violations(broken)), violations(broken)


def test_what_has_not_ended_is_no_violation_yet():
    """A history that is looked at in the middle."""
    assert violations(History([ACCEPTED], [], [CREATION], complete=False)) == []
