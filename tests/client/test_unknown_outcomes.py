"""What the command line says of rows that may exist already, and of a job that is being cancelled."""

import json

import pytest

from client.exit_status import ExitStatus
from client.output import words
from client.schemas import Job
from tests.client.fake_service import JOB_ID, Answer, ended, job

CSV = "name,address,result_error\nNowhere,2 Lost Lane,Nobody can tell\n"
FIRST = "3 of these rows may already exist in the directory"


def file(unknown):
    return Answer(200, CSV, {"Content-Type": "text/csv", "X-Result-Unknown": unknown})


def test_a_file_with_rows_that_may_exist_says_so_before_it_is_uploaded_again(run, service, tmp_path):
    """On standard error, with the command that resolves them; also in JSON."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", file("3"))
    target = tmp_path / "failed.csv"
    for result in (run("failed", JOB_ID, "-o", target), run("failed", JOB_ID)):
        assert result.exit_code == ExitStatus.DONE
        assert FIRST in result.stderr
        assert f"resolve {JOB_ID} ROW" in result.stderr
    assert target.read_text() == CSV
    assert json.loads(run("failed", JOB_ID, "-o", target, "--yes", "--json").stdout)["unknown"] == 3


@pytest.mark.parametrize("count", ["0", "", "many"])
def test_a_file_without_unknown_outcomes_says_nothing(run, service, count):
    """Nor one of an older service."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", file(count))
    assert run("failed", JOB_ID).stderr == ""


def test_a_watched_job_ends_with_the_warning(run, service):
    """Right after the command that fetches the rows."""
    service.respond("GET", f"/status/{JOB_ID}", ended("some_failed", failed=4, unknown_hospitals=3))
    last = run("status", JOB_ID, "--watch").stdout.splitlines()[-1]
    assert last.startswith(FIRST)
    service.respond("GET", f"/status/{JOB_ID}", ended("some_failed", failed=4))
    assert FIRST not in run("status", JOB_ID, "--watch").stdout


def test_one_row_is_one():
    """Words for one."""
    assert words.may_exist(1, "look").startswith(
        "1 of these rows may already exist in the directory: before it is uploaded"
    )


SINCE = "2026-03-01T09:30:02Z"


def test_a_job_that_is_being_cancelled_is_called_so(run, service):
    """Whoever cancelled it, and from where; in the list too."""
    service.respond("GET", f"/status/{JOB_ID}", job(cancel_requested_at=SINCE, waiting_for="paused"))
    assert "It is being cancelled" in run("status", JOB_ID).stdout
    page = {"total_jobs": 1, "jobs": [job(cancel_requested_at=SINCE)], "next_cursor": None}
    service.respond("GET", "/jobs", page)
    assert "\tcancelling\t" in run("list").stdout


def test_a_watch_says_when_somebody_cancels(run, service):
    """A line of its own, although the numbers are the same."""
    states = [job(), job(), job(cancel_requested_at=SINCE), ended("cancelled")]
    service.respond("GET", f"/status/{JOB_ID}", *states)
    lines = run("status", JOB_ID, "--watch").stdout.splitlines()
    assert ["It is being cancelled" in line for line in lines] == [False, True, False]


def test_a_cancel_that_came_too_late_is_no_state():
    """Every row has its result: there is nothing left to cancel."""
    assert words.state(Job(**job(cancel_requested_at=SINCE, processed_hospitals=40))) == "running"
    assert words.state(Job(**ended(cancel_requested_at=SINCE))) == "completed"
