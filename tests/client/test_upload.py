"""`upload`: one job, whatever happens on the way, and an exit status that tells what became of it."""

import json

import pytest

from client.exit_status import ExitStatus
from tests.client.fake_service import DROPPED, JOB_ID, checked, ended, problem

SAME_FILE = [{"job_id": "job-of-yesterday", "created_at": "2026-03-01T09:30:00Z"}]


def test_an_upload_says_which_job_it_is_and_how_to_watch_it(run, service, file):
    """The file, as it is, under a key."""
    service.accept_uploads()
    result = run("upload", file)
    assert result.exit_code == ExitStatus.DONE
    assert f"Accepted: 40 hospitals, job {JOB_ID}" in result.stdout
    assert f"hospital-bulk status {JOB_ID} --watch" in result.stdout
    [sent] = service.calls("POST", "/bulk")
    assert file.read_bytes() in sent.body
    assert b'filename="hospitals.csv"' in sent.body
    assert len(sent.headers["idempotency-key"]) == 36


def test_each_invocation_has_a_key_of_its_own(run, service, file):
    """Another key is another job, as the person means it."""
    service.accept_uploads()
    run("upload", file, "--yes")
    run("upload", file, "--yes")
    first, second = (request.headers["idempotency-key"] for request in service.calls("POST", "/bulk"))
    assert first != second


@pytest.mark.parametrize(
    "failure",
    [
        DROPPED,
        problem(503, "message_queue_unavailable", "The message queue is currently down.", retry_after=1),
        problem(409, "in_progress", "An upload with this Idempotency-Key is still in progress.", retry_after=1),
        problem(504, "service_timeout", "The service did not answer in time."),
    ],
    ids=["dropped", "503", "409", "504"],
)
def test_an_upload_that_is_not_answered_is_sent_again_with_the_same_key(run, service, file, failure):
    """Nobody knows whether it was accepted; with its key it is one job all the same. It says why it waits."""
    service.accept_uploads()
    [accepted] = service.answers["POST", "/api/v1/hospitals/bulk"]
    service.respond("POST", "/bulk", failure, accepted)
    result = run("upload", file)
    assert result.exit_code == ExitStatus.DONE
    first, second = (request.headers["idempotency-key"] for request in service.calls("POST", "/bulk"))
    assert first == second
    assert "Trying again in 1 second." in result.stderr


def test_after_a_while_it_gives_up_and_says_how_to_find_out(run, service, file):
    """The same key, so that finding out makes no second job."""
    service.accept_uploads()
    service.respond("POST", "/bulk", DROPPED)
    result = run("upload", file, "--key", "monday", "--patience", "0")
    assert result.exit_code == ExitStatus.NOT_REACHED
    assert "It may have been accepted." in result.stderr
    assert f"hospital-bulk upload {file} --key monday" in result.stderr


def test_no_service_is_said_in_one_line(run, file, free_port):
    """Nothing was sent; the address may be wrong."""
    result = run("upload", file, "--yes", "--url", f"http://127.0.0.1:{free_port}", "--patience", "0")
    assert result.exit_code == ExitStatus.NOT_REACHED
    assert f"The service at http://127.0.0.1:{free_port} cannot be reached" in result.stderr
    assert "It may have been accepted" not in result.stderr


def test_errors_are_named_before_anything_is_sent(run, service, file):
    """Each with its row and column."""
    errors = [
        {"row": 7, "column": "address", "message": "The address is missing."},
        {"row": None, "column": None, "message": "The file ends in the middle of a row."},
    ]
    service.respond("POST", "/validate", checked(valid=False, errors=errors))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.REFUSED
    assert result.stderr.splitlines()[-3:] == [
        "The file has 2 errors; nothing was sent.",
        "row 7, address: The address is missing.",
        "The file ends in the middle of a row.",
    ]
    assert service.calls("POST", "/bulk") == []


def test_a_file_that_the_service_refuses_is_refused_with_its_words(run, service, file):
    """With `--yes --quiet` it is sent at once."""
    errors = [{"row": 2, "column": "name", "message": "The name is missing."}]
    service.respond("POST", "/bulk", problem(400, "invalid_file", "The file has 1 error.", errors=errors))
    result = run("upload", file, "--yes", "--quiet")
    assert result.exit_code == ExitStatus.REFUSED
    assert result.stderr.splitlines() == ["The file has 1 error.", "row 2, name: The name is missing."]
    assert len(service.requests) == 1


def test_a_file_that_was_accepted_before_is_not_sent_when_nobody_can_be_asked(run, service, file):
    """The commonest accident: the same file again tomorrow."""
    service.accept_uploads()
    service.respond("POST", "/validate", checked(same_file_as=SAME_FILE))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.NOT_SENT
    assert "was accepted before, as job job-of-yesterday" in result.stderr
    assert "--yes" in result.stderr
    assert service.calls("POST", "/bulk") == []


def test_yes_sends_it_without_a_question(run, service, file):
    """Somebody has thought about it."""
    service.accept_uploads()
    service.respond("POST", "/validate", checked(same_file_as=SAME_FILE))
    assert run("upload", file, "--yes").exit_code == ExitStatus.DONE
    assert len(service.calls("POST", "/bulk")) == 1


def test_duplicates_are_allowed_for_both_the_check_and_the_upload(run, service, file):
    """The check must not refuse what the upload would take."""
    service.accept_uploads()
    run("upload", file, "--allow-duplicates")
    assert [request.query for request in service.requests] == ["allow_duplicates=true"] * 2


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (ended(), 0),
        (ended("some_failed", failed=3), 1),
        (ended("none_created", failed=40), 3),
        (ended("cancelled"), 4),
        (ended(activated=False, error="The directory did not activate the hospitals: no"), 8),
    ],
    ids=["all created", "some failed", "none created", "cancelled", "not activated"],
)
def test_the_exit_status_of_a_watched_upload_tells_the_outcome(run, service, file, end, status):
    """As `--help` and the README promise."""
    service.accept_uploads()
    service.respond("GET", f"/status/{JOB_ID}", end)
    assert run("upload", file, "--watch").exit_code == status


def test_a_watched_upload_names_the_command_for_the_failed_rows(run, service, file):
    """What the person wants next."""
    service.accept_uploads()
    service.respond("GET", f"/status/{JOB_ID}", ended("some_failed", failed=3))
    assert f"hospital-bulk failed {JOB_ID} -o failed.csv" in run("upload", file, "--watch").stdout


def test_a_key_that_cannot_be_sent_is_a_wrong_command(run, service, file):
    """Before anything is sent."""
    assert run("upload", file, "--key", "mönday").exit_code == ExitStatus.USAGE
    assert service.requests == []


def test_json_is_one_document_that_names_job_and_key(run, service, file):
    """For a script that wants to repeat it later."""
    service.accept_uploads(batch_ids=["batch-1"])
    document = json.loads(run("upload", file, "--key", "monday", "--json").stdout)
    assert document["job_id"] == JOB_ID
    assert document["batch_ids"] == ["batch-1"]
    assert document["idempotency_key"] == "monday"
    [sent] = service.calls("POST", "/bulk")
    assert sent.headers["idempotency-key"] == "monday"


def test_json_of_a_watched_upload_is_the_job_as_it_ended(run, service, file):
    """All that the service says of it."""
    service.accept_uploads()
    service.respond("GET", f"/status/{JOB_ID}", ended("some_failed", failed=3))
    document = json.loads(run("--json", "upload", file, "--watch").stdout)
    assert (document["outcome"], document["batch_ids"]) == ("some_failed", ["batch-1"])


@pytest.mark.parametrize(
    ("verdict", "error_type"),
    [
        (checked(same_file_as=SAME_FILE), "accepted_before"),
        (checked(valid=False, errors=[{"row": 2, "column": "name", "message": "Missing."}]), "invalid_file"),
        (problem(401, "unauthorized", "Send a valid API key in the header X-API-Key."), "unauthorized"),
        (DROPPED, "not_reached"),
    ],
)
def test_json_of_what_went_wrong_is_one_document_too(run, service, file, verdict, error_type):
    """With a type for programs."""
    service.respond("POST", "/validate", verdict)
    result = run("upload", file, "--json", "--patience", "0")
    document = json.loads(result.stdout)
    assert document["error_type"] == error_type
    assert document["detail"] in result.stderr
