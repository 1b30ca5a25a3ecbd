"""What is said, in words; and how fast a job goes."""

import pytest

from client.output import words
from client.schemas import Job, RowProblem
from client.throughput import Throughput
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


@pytest.mark.parametrize("reason", ["rate_limit", "circuit_breaker", "queue", "no_processor", "paused"])
def test_a_job_that_waits_says_why(reason):
    """Each reason of the contract has its sentence."""
    line = words.progress(Job(**job(waiting_for=reason, eta_seconds=None)), None)
    assert line == f"10 of 40 hospitals (25 %). {words.WAITING[reason]}"


def test_a_reason_that_is_not_known_yet_is_shown_as_it_is():
    """A newer service may have one."""
    assert words.progress(Job(**job(waiting_for="full_moon", eta_seconds=None)), None).endswith(". full_moon")


def test_an_end_says_what_became_of_the_rows():
    """With the service's own sentence."""
    end = ended("some_failed", failed=3, message="37 of 40 hospitals created, 3 failed", processing_time_seconds=4.0)
    assert words.ending(Job(**end)) == "Partly created: 37 of 40 hospitals created, 3 failed. It took 4 seconds."


def test_the_throughput_is_that_of_the_last_seconds():
    """Not of the whole job, and not of a round before."""
    throughput = Throughput()
    assert throughput.record(0, 0.0) is None
    assert throughput.record(5, 0.5) is None
    assert throughput.record(20, 2.0) == 10.0
    assert throughput.record(20 + 60, 20.0) is None
    assert throughput.record(20 + 60 + 30, 30.0) == 3.0
    assert throughput.record(50, 31.0) is None
