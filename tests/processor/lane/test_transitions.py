"""What follows from each way a call can end."""

import pytest

from services.processor.directory.outcomes import (
    Conflicted,
    Created,
    NeverSent,
    Refused,
    Rejected,
    ServerError,
    Throttled,
    Unanswered,
    Withheld,
)
from services.processor.lane.row import Trouble
from services.processor.lane.transitions import Again, Finish, LookUp, absent, verdict
from shared.contract.events import RowCreated, RowErrorCode, RowFailed
from tests.support.processor.lane_doubles import make_row


def test_an_answer_with_an_id_is_a_hospital():
    """The only way to be sure without looking."""
    step = verdict(make_row(attempts=1), Created(7))
    assert isinstance(step, Finish)
    assert isinstance(step.result, RowCreated)
    assert (step.result.hospital_id, step.result.found) == (7, False)


def test_a_row_that_the_directory_rejects_fails_in_its_words():
    """400, 413 and 422 are final."""
    step = verdict(make_row(), Rejected(422, "name: too short"))
    assert isinstance(step, Finish)
    assert isinstance(step.result, RowFailed)
    assert (step.result.code, step.result.message, step.result.http_status) == (
        RowErrorCode.REJECTED,
        "name: too short",
        422,
    )


@pytest.mark.parametrize("outcome", [Withheld(), Throttled(3.0), Throttled(None)])
def test_what_was_not_sent_and_is_nobodys_fault_goes_again_at_once(outcome):
    """No set-back, no wait of its own: the pace and Retry-After say when."""
    step = verdict(make_row(), outcome)
    assert step == Again()
    assert step.at_once


def test_no_connection_goes_again_after_a_wait():
    """Nothing can have arrived, so there is nothing to look up."""
    assert verdict(make_row(), NeverSent("refused")) == Again(Trouble("refused"))


@pytest.mark.parametrize(
    ("outcome", "settle", "counts", "conflicted"),
    [
        (Conflicted("exists"), False, False, True),
        (Refused(401, "no"), True, False, False),
        (ServerError("boom"), False, True, False),
        (Unanswered("no answer"), True, True, False),
        (Unanswered("bad gateway", 502), True, True, False),
    ],
)
def test_what_may_have_arrived_is_looked_up(outcome, settle, counts, conflicted):
    """At once where the directory has finished, after it has settled where it may still be at work."""
    step = verdict(make_row(), outcome)
    assert isinstance(step, LookUp)
    assert (step.settle, step.counts, step.conflicted) == (settle, counts, conflicted)


def test_absent_after_a_conflict_has_failed():
    """Somebody else's hospital stands in its way; sending it again would not change that."""
    step = absent(make_row(conflicted=True, trouble=Trouble("exists", 409)), 3)
    assert isinstance(step, Finish)
    assert (step.result.code, step.result.http_status) == (RowErrorCode.REJECTED, 409)


def test_absent_after_the_last_attempt_has_failed():
    """With how often it was tried, and the last reason."""
    step = absent(make_row(counts=True, attempts=3, trouble=Trouble("boom", 500)), 3)
    assert isinstance(step, Finish)
    assert step.result.code is RowErrorCode.ATTEMPTS_EXHAUSTED
    assert "3 attempts" in step.result.message
    assert "boom" in step.result.message


def test_absent_before_the_last_attempt_goes_again():
    """It is certainly not there, so it may be sent."""
    assert absent(make_row(counts=True, attempts=2, trouble=Trouble("boom", 500)), 3) == Again(Trouble("boom", 500))


def test_what_does_not_count_never_fails_for_its_attempts():
    """A wrong token for a week costs no row."""
    step = absent(make_row(counts=False, attempts=3, trouble=Trouble("no", 401)), 3)
    assert step == Again(Trouble("no", 401))
