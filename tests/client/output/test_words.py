"""What is said, in words; and how fast a job goes."""

from datetime import datetime

import pytest

from client.exit_status import ExitStatus, of_outcome
from client.output import words
from client.schemas import Job, RowProblem
from client.throughput import Throughput
from services.status.model.eta import WaitingFor
from tests.client.fake_service import ended, job


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 second"), (8, "8 seconds"), (180, "3 minutes"), (7500, "2 hours 5 minutes"), (2_000_000, "23 days")],
)
def test_durations_are_as_exact_as_a_person_wants_them(seconds, said):
    """No more."""
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_500, "1.5 KB"), (157_286_400, "157.3 MB")]
)
def test_sizes_too(size, said):
    """In the units that file managers use."""
    assert words.size(size) == said


def test_somebody_elses_text_cannot_move_the_cursor():
    """A file name or a directory's words may hold anything."""
    assert words.printable("a\x1b[2Jb\nc\u202ed\u00a0é") == "a\ufffd[2Jb c\ufffdd é"
    assert words.problem(RowProblem(row=2, column="na\x1bme", message="bad\r")) == "row 2, na\ufffdme: bad "


def test_a_running_job_is_shown_with_its_rate_and_time_left():
    """And with what failed."""
    line = words.progress(Job(**job(failed_hospitals=2)), 9.81)
    assert line == "10 of 40 hospitals (25 %), 2 failed, 9.8 a second, 30 seconds left"


@pytest.mark.parametrize("reason", WaitingFor)
def test_a_job_that_waits_says_why(reason):
    """Each reason of the contract has its sentence."""
    line = words.progress(Job(**job(waiting_for=reason, eta_seconds=None)), None)
    assert line == f"10 of 40 hospitals (25 %). {words.WAITING[reason]}"


def test_an_outage_says_since_when_and_when_it_is_tried_again():
    """Our own pace is no outage; a silence that the directory asked for is told as one."""
    since, again = "2026-03-01T10:00:00+00:00", "2026-03-01T10:01:00+00:00"
    moments = {"waiting_since": since, "next_try_at": again, "eta_seconds": None}
    times = [words.clock(datetime.fromisoformat(each)) for each in (since, again)]
    line = words.progress(Job(**job(waiting_for="circuit_breaker", **moments)), None)
    assert line.endswith(f"until it does. Since {times[0]}. Next try at {times[1]}.")
    line = words.progress(Job(**job(waiting_for="rate_limit", next_try_at=again)), None)
    assert line.endswith(f"The directory asks us to slow down: it is called again at {times[1]}.")


@pytest.mark.parametrize(
    ("changes", "said", "status"),
    [
        ({"activated": True}, "completed", ExitStatus.DONE),
        ({"activated": False}, "not activated", ExitStatus.NOT_ACTIVATED),
        ({"activated": False, "created_hospitals": 0}, "completed", ExitStatus.DONE),
    ],
)
def test_a_job_that_was_corrected_ends_as_its_hospitals_do(changes, said, status):
    """All are created; its own must be active too, where it has any."""
    end = Job(**ended("all_created_after_correction", failed=3, corrected_by=["job-2", "job-3"], **changes))
    assert (words.state(end), of_outcome(end)) == (said, status)
    assert words.ending(end) == f"{said.capitalize()}: Over. Corrected by job job-2 and job-3."
    assert words.ending(Job(**ended(corrects="job-1"))).endswith("It corrects job job-1.")


def test_a_reason_that_is_not_known_yet_is_shown_as_it_is():
    """A newer service may have one."""
    assert words.progress(Job(**job(waiting_for="full_moon", eta_seconds=None)), None).endswith(". full_moon")


def test_an_end_says_what_became_of_the_rows():
    """With the service's own sentence."""
    end = ended("some_failed", failed=3, message="37 of 40 hospitals created, 3 failed", processing_time_seconds=4.0)
    assert words.ending(Job(**end)) == "Partly created: 37 of 40 hospitals created, 3 failed. It took 4 seconds."
    assert words.ending(Job(**end, active_seconds=9.0)).endswith("It took 9 seconds."), "over all rounds"


def test_the_throughput_is_that_of_the_last_seconds():
    """Not of the whole job, and not of a round before."""
    throughput = Throughput()
    assert throughput.record(0, 0.0) is None
    assert throughput.record(5, 0.5) is None
    assert throughput.record(20, 2.0) == 10.0
    assert throughput.record(20 + 60, 20.0) is None
    assert throughput.record(20 + 60 + 30, 30.0) == 3.0
    assert throughput.record(50, 31.0) is None
