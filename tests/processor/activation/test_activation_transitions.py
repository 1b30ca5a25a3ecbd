"""What follows from each way the call of an activation can end."""

import pytest

from services.processor.activation.requests import ActivationRequest
from services.processor.activation.transitions import Again, Answered, Progress, after_activation
from services.processor.directory.outcomes import (
    Activated,
    Conflicted,
    ConnectionFailed,
    Listed,
    LookupFailed,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from shared.contract.events import BatchActivated, BatchActivationFailed

REQUEST = ActivationRequest("t", "job", "a", "r1")


def after(outcome, before=Progress()):  # noqa: B008 - frozen
    """Three attempts; the wait is as long as the number of failures."""
    return after_activation(REQUEST, before, outcome, 3, float)


def test_success_is_answered():
    """In the directory's words."""
    _, following = after(Activated("2 activated"))
    assert isinstance(following.event, BatchActivated)
    assert following.event.message == "2 activated"


@pytest.mark.parametrize("outcome", [Rejected(404, "no such batch"), Conflicted("no")])
def test_a_rejection_is_answered_with_the_directorys_message(outcome):
    """Asking again would not change it."""
    _, following = after(outcome)
    assert isinstance(following.event, BatchActivationFailed)
    assert (following.event.message, following.event.http_status) == (outcome.message, outcome.status)


def test_500s_fail_after_the_last_attempt():
    """Before that it is sent again."""
    progress, following = after(ServerError("boom"))
    assert following == Again(1.0)
    progress, following = after(ServerError("boom"), progress)
    assert following == Again(2.0)
    _, following = after(ServerError("boom"), progress)
    assert following == Answered(following.event)
    assert (following.event.message, following.event.http_status) == (
        "Not activated after 3 attempts. The last one: boom",
        500,
    )


@pytest.mark.parametrize("outcome", [Unanswered("late", 504), ServiceRejected(403, "not this one")])
def test_a_batch_that_the_directory_cannot_activate_fails_when_its_look_ups_are_answered(outcome):
    """A directory that is well otherwise answers 504 to one batch, say."""
    progress, tries = Progress(), 0
    following = Again(0.0)
    while isinstance(following, Again):
        progress, following = after(outcome, progress)
        assert progress.look_up_first
        progress, following = after(Listed(()), progress)
        tries += 1
    assert tries == 3
    assert outcome.message in following.event.message
    assert following.event.http_status == outcome.status


@pytest.mark.parametrize("outcome", [Unanswered("late"), ServiceRejected(401, "no")])
@pytest.mark.parametrize("look_up", [LookupFailed("late"), ConnectionFailed("refused")])
def test_an_outage_costs_no_activation(outcome, look_up):
    """However often it happens: no look-up is answered either."""
    progress, _ = after(outcome)
    for _ in range(10):
        progress, following = after(look_up, progress)
        assert isinstance(following, Again)
    assert (progress.attempts, progress.look_up_first) == (0, True)
    assert after(ConnectionFailed("refused"))[0].attempts == 0


@pytest.mark.parametrize("outcome", [NotSent(), Throttled(1.0)])
def test_what_was_not_sent_is_sent_again_at_once(outcome):
    """The rate limit says when."""
    before = Progress(attempts=1, backoff_count=2)
    assert after(outcome, before) == (before, Again(0.0))
