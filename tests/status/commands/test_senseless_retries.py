"""A request for a retry that makes no sense changes nothing: no job waits for rows that never come."""

from services.status.commands.retry_decision import RetryDecision, decide_retry
from services.status.model.job_facts import JobFacts, apply_event
from services.status.model.job_state import derive_state
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory

HISTORY = JobHistory(total=3)
FAILED = {(1, "created"): 1, (1, "failed"): 2}


def state_after(tallies, *events):
    """The facts and the state of a job after these events, at the offsets 0, 1, 2 …"""
    facts = JobFacts("job-1")
    for offset, event in enumerate((HISTORY.accepted(), *events)):
        facts = apply_event(facts, event, offset)
    return facts, derive_state(facts, tallies)


def test_a_round_that_is_not_the_next_leaves_the_job_as_it_was():
    """Its owner runs no rows for it."""
    _, found = state_after(FAILED, HISTORY.finished(JobOutcome.SOME_FAILED), HISTORY.retried(7))
    assert (found.status, found.round, found.failed_hospitals, found.due_round) == ("completed", 1, 2, None)


def test_a_retry_of_a_running_job_does_not_keep_it_from_its_end():
    """Its rows have no end yet that could be followed."""
    _, running = state_after({(1, "created"): 1}, HISTORY.retried(2))
    assert (running.status, running.round) == ("processing", 1)
    _, found = state_after(FAILED, HISTORY.retried(2))
    assert (found.round, found.due_round) == (1, 1)
    _, found = state_after(FAILED, HISTORY.retried(2), HISTORY.finished(JobOutcome.SOME_FAILED))
    assert (found.status, found.outcome) == ("completed", "some_failed")


def test_a_retry_that_makes_sense_is_run_also_after_one_that_made_none():
    """The person who asks for it is not to pay for the other."""
    events = [HISTORY.retried(2), HISTORY.retried(9), HISTORY.finished(JobOutcome.SOME_FAILED), HISTORY.retried(2)]
    facts, found = state_after(FAILED, *events)
    assert (found.status, found.round, facts.requested_offset) == ("processing", 2, 4)
    assert decide_retry(HISTORY.retried(2), 4, 5, facts, FAILED) is RetryDecision.RUN
    for request, offset in ((HISTORY.retried(2), 1), (HISTORY.retried(9), 2)):
        assert decide_retry(request, offset, 5, facts, FAILED) is RetryDecision.IGNORE


def test_a_retry_of_a_job_in_which_all_were_created_ends_at_once():
    """There is nothing to run: its JobFinished is due."""
    created = {(1, "created"): 3}
    events = [HISTORY.finished(JobOutcome.ALL_CREATED), HISTORY.activated(), HISTORY.retried(2)]
    assert state_after(created, *events)[1].due_round == 2
    again = [*events, HISTORY.finished(JobOutcome.ALL_CREATED, round_=2, seconds=9)]
    assert state_after(created, *again)[1].due_round is None


def test_a_request_that_comes_again_after_its_round_is_over_is_no_new_one():
    """A crash repeats events of this topic, at a later offset."""
    events = [HISTORY.finished(JobOutcome.SOME_FAILED), HISTORY.retried(2)]
    done = HISTORY.finished(JobOutcome.SOME_FAILED, round_=2, seconds=9)
    tallies = {(1, "created"): 1, (2, "failed"): 2}
    _, found = state_after(tallies, *events, done, HISTORY.retried(2))
    assert (found.status, found.round) == ("completed", 2)
