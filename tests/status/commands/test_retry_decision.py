"""What becomes of a request for a retry."""

import pytest

from services.status.commands.retry_decision import RetryDecision, decide_retry
from services.status.model.job_facts import JobFacts, apply_event
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory

HISTORY = JobHistory(total=3)
DONE = {(1, "created"): 1, (1, "failed"): 2}
FINISHED = HISTORY.finished(JobOutcome.SOME_FAILED)
AT = 7


def decision_on(*events, tallies=DONE, passed=AT + 1, request=HISTORY.retried(2), offset=AT):  # noqa: B008 - frozen
    """The decision on a request at offset 7, after events at the offsets given with them."""
    facts = JobFacts("job-1")
    for place, event in events:
        facts = apply_event(facts, event, place)
    return decide_retry(request, offset, passed, facts, tallies)


USUAL = [(1, HISTORY.accepted()), (5, FINISHED), (AT, HISTORY.retried(2))]


def test_the_first_request_for_the_round_after_a_finish_is_run():
    """Everything before it has been projected."""
    assert decision_on(*USUAL) is RetryDecision.RUN


@pytest.mark.parametrize("passed", [None, 3, AT])
def test_a_request_that_has_not_been_projected_waits(passed):
    """Nobody knows yet whether it is the first of its kind."""
    assert decision_on(*USUAL, passed=passed) is RetryDecision.WAIT


def test_results_that_are_still_to_be_projected_are_waited_for():
    """In a rebuild hospital.jobs may be read faster than hospital.results: rows that are not known cannot run."""
    assert decision_on(*USUAL, tallies={(1, "created"): 1, (1, "failed"): 1}) is RetryDecision.WAIT


def test_the_same_request_again_is_ignored():
    """Two people pressed the button at once: one round."""
    assert decision_on(*USUAL, (9, HISTORY.retried(2)), passed=10, offset=9) is RetryDecision.IGNORE
    assert decision_on(*USUAL, (9, HISTORY.retried(2)), passed=10, offset=AT) is RetryDecision.RUN


def test_a_request_is_run_on_after_a_part_of_its_rows_has_results_already():
    """The owner died after the first of several transactions."""
    assert decision_on(*USUAL, tallies={(1, "created"): 1, (1, "failed"): 1, (2, "failed"): 1}) is RetryDecision.RUN


@pytest.mark.parametrize(
    "events",
    [
        [],
        [(1, HISTORY.accepted()), (AT, HISTORY.retried(2))],
        [*USUAL, (9, HISTORY.finished(JobOutcome.ALL_CREATED, round_=2))],
        [*USUAL, (8, HISTORY.finished(JobOutcome.NONE_CREATED, round_=2)), (9, HISTORY.retried(3))],
    ],
    ids=["unknown job", "still running", "finished since", "a later round"],
)
def test_a_request_that_makes_no_sense_is_ignored(events):
    """It must not hold up what comes after it."""
    assert decision_on(*events, passed=20) is RetryDecision.IGNORE
