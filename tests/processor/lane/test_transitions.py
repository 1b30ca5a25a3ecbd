"""What follows from each way a call can end."""

import pytest

from services.processor.directory.outcomes import (
    Conflicted,
    ConnectionFailed,
    Created,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from services.processor.lane.row import LastError
from services.processor.lane.transitions import Finished, LookUp, Retry, after_absence, after_call
from shared.contract.events import RowCreated, RowErrorCode, RowFailed
from tests.support.processor.lane_doubles import make_row


def test_an_answer_with_an_id_is_a_hospital():
    """The only way to be sure without looking."""
    step = after_call(make_row(attempts=1), Created(7))
    assert isinstance(step, Finished)
    assert isinstance(step.result, RowCreated)
    assert (step.result.hospital_id, step.result.found) == (7, False)


def test_a_row_that_the_directory_rejects_fails_in_its_words():
    """400, 413 and 422 are final."""
    step = after_call(make_row(), Rejected(422, "name: too short"))
    assert isinstance(step, Finished)
    assert isinstance(step.result, RowFailed)
    assert (step.result.code, step.result.message, step.result.http_status) == (
        RowErrorCode.REJECTED,
        "name: too short",
        422,
    )


@pytest.mark.parametrize("outcome", [NotSent(), Throttled(3.0), Throttled(None)])
def test_what_was_not_sent_though_nothing_went_wrong_is_retried_at_once(outcome):
    """No backoff: the rate limit and Retry-After say when."""
    step = after_call(make_row(), outcome)
    assert step == Retry()


def test_no_connection_is_retried_after_a_wait():
    """Nothing can have arrived, so there is nothing to look up."""
    assert after_call(make_row(), ConnectionFailed("refused")) == Retry(LastError("refused"))


@pytest.mark.parametrize(
    ("outcome", "after_settle_time", "counts_as_attempt", "conflicted"),
    [
        (Conflicted("exists"), False, False, True),
        (ServiceRejected(401, "no"), True, False, False),
        (ServerError("boom"), False, True, False),
        (Unanswered("no answer"), True, True, False),
        (Unanswered("bad gateway", 502), True, True, False),
    ],
)
def test_what_may_have_arrived_is_looked_up(outcome, after_settle_time, counts_as_attempt, conflicted):
    """At once where the directory has finished, after it has settled where it may still be at work."""
    step = after_call(make_row(), outcome)
    assert isinstance(step, LookUp)
    expected = (after_settle_time, counts_as_attempt, conflicted)
    assert (step.after_settle_time, step.counts_as_attempt, step.conflicted) == expected


def test_absent_after_a_conflict_has_failed():
    """Somebody else's hospital stands in its way; sending it again would not change that."""
    step = after_absence(make_row(conflicted=True, last_error=LastError("exists", 409)), 3)
    assert isinstance(step, Finished)
    assert (step.result.code, step.result.http_status) == (RowErrorCode.REJECTED, 409)


def test_absent_after_the_last_attempt_has_failed():
    """With how often it was tried, and the last reason."""
    step = after_absence(make_row(counts_as_attempt=True, attempts=3, last_error=LastError("boom", 500)), 3)
    assert isinstance(step, Finished)
    assert step.result.code is RowErrorCode.ATTEMPTS_EXHAUSTED
    assert "3 attempts" in step.result.message
    assert "boom" in step.result.message


def test_absent_before_the_last_attempt_is_retried():
    """It is certainly not there, so it may be sent."""
    assert after_absence(make_row(counts_as_attempt=True, attempts=2, last_error=LastError("boom", 500)), 3) == Retry(
        LastError("boom", 500)
    )


def test_what_does_not_count_never_fails_for_its_attempts():
    """A wrong token for a week costs no row."""
    step = after_absence(make_row(counts_as_attempt=False, attempts=3, last_error=LastError("no", 401)), 3)
    assert step == Retry(LastError("no", 401))
