"""A job's state follows from the events about it."""

import pytest

from services.status.model.activation_answers import answer_of, counted
from services.status.model.job_facts import JobFacts, apply_event
from services.status.model.job_state import derive_state
from services.status.model.timestamps import micros
from shared.contract.events import JobOutcome
from tests.support.status.job_histories import JobHistory, at


def state_after(job, tallies, *events, answers=()):
    """The life of a job after these events."""
    facts = JobFacts(job.about["job_id"])
    for event in (job.accepted(), *events):
        facts = apply_event(facts, event, 0)
    return derive_state(counted(facts, [answer_of(answer) for answer in answers]), tallies)


def test_a_job_is_pending_until_its_first_result():
    """Accepted, and nobody has touched it."""
    assert state_after(JobHistory(), {}).status == "pending"


def test_a_job_processes_from_its_first_result_on():
    """A failure is a result too."""
    assert state_after(JobHistory(), {(1, "failed"): 1}).status == "processing"


def test_a_job_whose_rows_all_have_results_is_due():
    """JobFinished is to be sent, and the job is not final before it was read back."""
    found = state_after(JobHistory(), {(1, "created"): 2, (1, "failed"): 1})
    assert (found.due_round, found.status, found.outcome, found.completed_at) == (1, "processing", None, None)


@pytest.mark.parametrize(
    ("tallies", "outcome", "status"),
    [
        ({(1, "created"): 2, (1, "failed"): 1}, JobOutcome.SOME_FAILED, "completed"),
        ({(1, "failed"): 3}, JobOutcome.NONE_CREATED, "failed"),
        ({(1, "created"): 2, (1, "unprocessed"): 1}, JobOutcome.CANCELLED, "cancelled"),
        ({(1, "unprocessed"): 3}, JobOutcome.CANCELLED, "cancelled"),
    ],
)
def test_a_job_that_nobody_activates_ends_when_its_finish_was_read_back(tallies, outcome, status):
    """Its last moment is that of JobFinished."""
    job = JobHistory()
    found = state_after(job, tallies, job.finished(outcome, seconds=9))
    assert (found.status, found.outcome, found.due_round) == (status, outcome, None)
    assert found.completed_at == micros(at(9))
    assert not found.activated


def test_a_job_all_created_goes_on_until_every_batch_is_activated():
    """Clients poll for `completed` and then read batch_activated."""
    job = JobHistory(batches=2)
    finished = job.finished(JobOutcome.ALL_CREATED)
    some = state_after(job, {(1, "created"): 3}, finished, answers=[job.activated(0, seconds=6)])
    every = state_after(
        job, {(1, "created"): 3}, finished, answers=[job.activated(0, seconds=6), job.activated(1, seconds=8)]
    )
    assert (some.status, some.activated, some.completed_at) == ("processing", False, None)
    assert (every.status, every.activated, every.completed_at) == ("completed", True, micros(at(8)))


def test_a_refused_activation_ends_the_job_unactivated():
    """Nobody is to wait for ever: a person can activate it by hand."""
    job = JobHistory(batches=2)
    answers = [job.activated(0, seconds=6), job.refused(1, seconds=7)]
    found = state_after(job, {(1, "created"): 3}, job.finished(JobOutcome.ALL_CREATED), answers=answers)
    assert (found.status, found.activated, found.completed_at) == ("completed", False, micros(at(7)))


def test_activation_by_hand_later_does_not_move_the_moment_of_completion():
    """The job was completed when it was completed."""
    job = JobHistory()
    answers = [job.refused(seconds=7), job.activated(request_id="by-hand", seconds=900)]
    found = state_after(job, {(1, "created"): 3}, job.finished(JobOutcome.ALL_CREATED), answers=answers)
    assert (found.activated, found.completed_at) == (True, micros(at(7)))


def test_a_refusal_of_a_request_by_hand_is_not_the_end_of_the_automatic_activation():
    """It is still to be answered."""
    job = JobHistory()
    answers = [job.refused(request_id="by-hand")]
    found = state_after(job, {(1, "created"): 3}, job.finished(JobOutcome.ALL_CREATED), answers=answers)
    assert found.status == "processing"


def test_a_retry_makes_a_finished_job_go_on():
    """What failed has no result in the new round; what was created stays created."""
    job = JobHistory()
    tallies = {(1, "created"): 2, (1, "failed"): 1}
    found = state_after(job, tallies, job.finished(JobOutcome.SOME_FAILED), job.retried(2))
    assert (found.status, found.round, found.outcome, found.completed_at) == ("processing", 2, None, None)
    assert (found.created_hospitals, found.failed_hospitals, found.due_round) == (2, 0, None)


def test_each_round_has_its_own_finish():
    """The finish of round 1 says nothing about round 2."""
    job = JobHistory()
    tallies = {(1, "created"): 2, (2, "created"): 1}
    events = [job.finished(JobOutcome.SOME_FAILED), job.retried(2)]
    assert state_after(job, tallies, *events).due_round == 2
    again = job.finished(JobOutcome.ALL_CREATED, round_=2, seconds=9)
    found = state_after(job, tallies, *events, again, answers=[job.activated(request_id="finished:2", seconds=10)])
    assert (found.status, found.outcome, found.activated) == ("completed", "all_created", True)


def test_a_job_whose_last_failures_were_settled_by_hand_is_finished_once_more_and_activated():
    """JobFinished said some_failed; in a round of its own it says all_created, and the activation follows."""
    job = JobHistory()
    tallies, before = {(1, "created"): 3}, job.finished(JobOutcome.SOME_FAILED)
    found = state_after(job, tallies, before)
    assert (found.due_round, found.round, found.status, found.activated) == (2, 1, "processing", False)
    again = job.finished(JobOutcome.ALL_CREATED, round_=2, seconds=9)
    found = state_after(job, tallies, before, again)
    assert (found.due_round, found.status) == (None, "processing")
    found = state_after(job, tallies, before, again, answers=[job.activated(request_id="finished:2", seconds=10)])
    assert (found.status, found.outcome, found.activated, found.due_round) == ("completed", "all_created", True, None)


def test_a_failure_settled_by_hand_beside_others_changes_the_counts_only():
    """The job has ended as before; no second JobFinished is due."""
    job = JobHistory()
    found = state_after(job, {(1, "created"): 2, (1, "failed"): 1}, job.finished(JobOutcome.NONE_CREATED))
    assert (found.status, found.outcome, found.due_round) == ("completed", "some_failed", None)


def test_a_retry_that_was_asked_for_while_the_last_failure_was_settled_is_one_round_without_rows():
    """Both commands were right; there is nothing left to run, so the round ends at once."""
    job = JobHistory()
    found = state_after(job, {(1, "created"): 3}, job.finished(JobOutcome.SOME_FAILED), job.retried(2))
    assert (found.round, found.due_round, found.status) == (2, 2, "processing")
