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
from services.processor.lane.row import Attempts, LastError
from services.processor.lane.transitions import (
    Absent,
    AttemptRules,
    Finished,
    Found,
    LookUp,
    Retry,
    Unclear,
    after_call,
    after_lookup,
)
from shared.contract.events import RowCreated, RowErrorCode, RowFailed
from tests.support.processor.lane_doubles import make_row

SENT = 100.0
#: Three attempts; a call is settled after 12 s; the wait is as long as the number of failures.
RULES = AttemptRules(3, 12.0, float)


def test_an_answer_with_an_id_is_a_hospital():
    """The only way to be sure without looking."""
    attempts, following = after_call(make_row(count=1), Created(7), SENT, RULES)
    assert isinstance(following, Finished)
    assert isinstance(following.result, RowCreated)
    assert (following.result.hospital_id, following.result.found, following.result.attempts) == (7, False, 2)
    assert attempts.count == 2


def test_a_row_that_the_directory_rejects_fails_in_its_words():
    """400, 413 and 422 are final."""
    attempts, following = after_call(make_row(), Rejected(422, "name: too short"), SENT, RULES)
    assert isinstance(following, Finished)
    result = following.result
    assert isinstance(result, RowFailed)
    assert (result.code, result.message, result.http_status) == (RowErrorCode.REJECTED, "name: too short", 422)
    assert (result.attempts, attempts.count) == (1, 1)


@pytest.mark.parametrize("outcome", [NotSent(), Throttled(3.0), Throttled(None)])
def test_what_was_not_sent_though_nothing_went_wrong_is_retried_at_once(outcome):
    """No backoff: the rate limit and Retry-After say when."""
    row = make_row(count=1, backoff_count=2, last_error=LastError("boom"))
    assert after_call(row, outcome, SENT, RULES) == (row.attempts, Retry(0.0))


def test_no_connection_is_retried_after_a_wait():
    """Nothing can have arrived, so there is nothing to look up."""
    attempts, following = after_call(make_row(backoff_count=1), ConnectionFailed("refused"), SENT, RULES)
    assert following == Retry(2.0)
    assert attempts == Attempts(backoff_count=2, last_error=LastError("refused"))


@pytest.mark.parametrize(
    ("outcome", "seconds", "counts_as_attempt", "conflicted"),
    [
        (Conflicted("exists"), 0, False, True),
        (ServiceRejected(401, "no"), 12, False, False),
        (ServerError("boom"), 0, True, False),
        (Unanswered("no answer"), 12, True, False),
        (Unanswered("bad gateway", 502), 12, True, False),
    ],
)
def test_what_may_have_arrived_is_looked_up(outcome, seconds, counts_as_attempt, conflicted):
    """At once where the directory has finished, after it has settled where it may still be at work."""
    attempts, following = after_call(make_row(), outcome, SENT, RULES)
    assert following == LookUp(SENT + seconds)
    assert (attempts.counts_as_attempt, attempts.conflicted) == (counts_as_attempt, conflicted)
    assert attempts.backoff_count == (not counts_as_attempt), "the others add to it when they have been looked up"
    assert attempts.count == 0


def test_a_row_that_is_found_was_created():
    """The call that nobody answered was an attempt all the same."""
    attempts, following = after_lookup(make_row(counts_as_attempt=True), Found(7), RULES)
    assert isinstance(following, Finished)
    assert (following.result.hospital_id, following.result.found, following.result.attempts) == (7, True, 1)
    assert attempts.count == 1


def test_what_nobody_can_tell_has_failed_visibly():
    """With what to look for."""
    _, following = after_lookup(make_row(), Unclear("look in the directory"), RULES)
    assert isinstance(following, Finished)
    result = following.result
    assert (result.code, result.message) == (RowErrorCode.OUTCOME_UNKNOWN, "look in the directory")


def test_absent_after_a_conflict_has_failed():
    """Somebody else's hospital stands in its way; sending it again would not change that."""
    _, following = after_lookup(make_row(conflicted=True, last_error=LastError("exists", 409)), Absent(), RULES)
    assert isinstance(following, Finished)
    assert (following.result.code, following.result.http_status) == (RowErrorCode.REJECTED, 409)


def test_absent_after_the_last_attempt_has_failed():
    """With how often it was tried, and the last reason."""
    row = make_row(counts_as_attempt=True, count=2, last_error=LastError("boom", 500))
    _, following = after_lookup(row, Absent(), RULES)
    assert isinstance(following, Finished)
    assert following.result.code is RowErrorCode.ATTEMPTS_EXHAUSTED
    assert following.result.attempts == 3
    assert "3 attempts" in following.result.message
    assert "boom" in following.result.message


def test_absent_before_the_last_attempt_is_retried():
    """It is certainly not there, so it may be sent."""
    row = make_row(counts_as_attempt=True, count=1, last_error=LastError("boom", 500))
    attempts, following = after_lookup(row, Absent(), RULES)
    assert following == Retry(1.0)
    assert (attempts.count, attempts.backoff_count, attempts.counts_as_attempt) == (2, 1, False)


def test_a_former_owners_row_that_is_absent_is_sent_at_once():
    """Nothing has gone wrong with it."""
    assert after_lookup(make_row(), Absent(), RULES) == (Attempts(), Retry(0.0))


def test_what_does_not_count_never_fails_for_its_attempts():
    """A wrong token for a week costs no row."""
    row = make_row(count=3, backoff_count=9, last_error=LastError("no", 401))
    assert after_lookup(row, Absent(), RULES) == (row.attempts, Retry(9.0))
