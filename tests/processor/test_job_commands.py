"""What every processor knows of all jobs."""

import pytest

from services.processor.job_commands import JobCommands
from shared.contract.events import JobCancelRequested, JobFinished, JobOutcome, SendingPaused, SendingResumed
from tests.support.processor.lane_doubles import record


def job_commands():
    cancelled, changes = [], []
    return JobCommands(lambda jobs: cancelled.append(sorted(jobs)), lambda: changes.append(True)), cancelled, changes


def cancel(round_=1):
    return JobCancelRequested(tenant="t", job_id="job", round=round_)


def finished(round_):
    return JobFinished(
        tenant="t",
        job_id="job",
        round=round_,
        outcome=JobOutcome.CANCELLED,
        total_hospitals=1,
        created_hospitals=0,
        failed_hospitals=0,
        unprocessed_hospitals=1,
        batch_ids=(),
    )


def test_a_cancel_holds_for_its_round_and_earlier_ones():
    """A retry after it is sent."""
    known, announced, _ = job_commands()
    known.caught_up()
    known.apply([record(cancel(2), 0)])
    assert announced == [["job"]]
    assert [known.is_cancelled("job", round_) for round_ in (1, 2, 3)] == [True, True, False]
    assert not known.is_cancelled("another", 1)


def test_an_older_cancel_changes_nothing():
    """Job events may repeat after a crash."""
    known, _, _ = job_commands()
    known.apply([record(cancel(2), 0)])
    known.apply([record(cancel(1), 1)])
    assert known.is_cancelled("job", 2)


@pytest.mark.parametrize("round_", [1, 2])
def test_a_cancel_stays_whatever_round_finishes(round_):
    """Rows of the cancelled round may still be reached, behind a backlog of the other topic."""
    known, _, _ = job_commands()
    known.apply([record(cancel(1), 0)])
    known.apply([record(finished(round_), 1)])
    assert known.is_cancelled("job", 1)


def test_nothing_is_sent_before_everything_is_known():
    """A processor that has just started may not know of a pause."""
    known, _, changes = job_commands()
    assert not known.may_send
    known.apply([record(SendingPaused(request_id="1"), 0)])
    assert (known.paused, changes) == (True, [True])
    known.apply([record(SendingResumed(request_id="2"), 1)])
    assert (known.paused, known.may_send) == (False, False)


def test_all_that_was_ever_cancelled_is_announced_at_once():
    """Searching the windows for each of thousands of jobs would take minutes at the start."""
    known, announced, _ = job_commands()
    cancels = [JobCancelRequested(tenant="t", job_id=f"job-{number}") for number in range(3)]
    known.apply([record(event, offset) for offset, event in enumerate(cancels)])
    assert announced == []
    known.caught_up()
    assert announced == [["job-0", "job-1", "job-2"]]
    known.apply([])
    assert len(announced) == 1


def test_what_cannot_be_read_is_left_to_others():
    """The status service writes it to the dead letters."""
    known, announced, changes = job_commands()
    known.apply([record(None, 0, headers=(("ce_type", b"JobCancelRequested"),), value=b"{")])
    known.apply([record(None, 1, value=b"x")])
    assert (announced, changes) == ([], [])


def test_reading_everything_again_sends_nothing_meanwhile():
    """A consumer that was made again reads old resumes before it comes to the pause that holds."""
    known, _, _ = job_commands()
    known.caught_up()
    known.apply([record(SendingPaused(request_id="1"), 0)])
    known.restart()
    known.apply([record(SendingResumed(request_id="0"), 0)])
    assert not known.may_send
