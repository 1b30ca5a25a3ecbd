"""The other commands: what each asks the service, and what it says."""

import json
from datetime import datetime
from urllib.parse import parse_qs

import pytest

from client.exit_status import ExitStatus
from tests.client.fake_service import DROPPED, JOB_ID, ROOT, Answer, checked, ended, job, problem

CSV = "name,address,result_error\nNowhere,2 Lost Lane,Refused here\n"


def csv(body=CSV, **more):
    return Answer(200, body, {"Content-Type": "text/csv"}, **more)


def test_status_says_how_a_job_is(run, service):
    """One line; asking is no failure, whatever the job's outcome."""
    service.respond("GET", f"/status/{JOB_ID}", job(waiting_for="paused"))
    result = run("status", JOB_ID)
    assert result.exit_code == ExitStatus.DONE
    assert result.stdout.startswith("10 of 40 hospitals (25 %), 30 seconds left. Sending is paused")
    service.respond("GET", f"/status/{JOB_ID}", ended("none_created", failed=40, message="No hospital was created"))
    result = run("status", JOB_ID)
    assert (result.exit_code, result.stdout) == (0, "Failed: No hospital was created.\n")


def test_a_watched_status_ends_as_the_job_does(run, service):
    """A line per change, without escape codes, and the exit status of its outcome."""
    states = [job(), job(), job(waiting_for="circuit_breaker", processed_hospitals=11), ended("some_failed", failed=3)]
    service.respond("GET", f"/status/{JOB_ID}", *states)
    result = run("status", JOB_ID, "--watch")
    assert result.exit_code == ExitStatus.SOME_FAILED
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("10 of 40 hospitals")
    assert "The directory does not answer properly" in second
    assert "\x1b" not in result.output


def test_a_long_job_has_few_lines_where_there_is_no_terminal(run, service):
    """One for each tenth of it; a log of a million rows is not a hundred lines."""
    states = [job(total_hospitals=1_000, processed_hospitals=done) for done in range(0, 1_000, 20)]
    events = "".join(f"id: {number}\ndata: {json.dumps(state)}\n\n" for number, state in enumerate([*states, ended()]))
    service.respond("GET", f"/jobs/{JOB_ID}/events", Answer(200, events, {"Content-Type": "text/event-stream"}))
    service.respond("GET", f"/status/{JOB_ID}", states[0], ended())
    result = run("status", JOB_ID, "--watch")
    assert result.exit_code == ExitStatus.DONE
    assert len(result.stdout.splitlines()) == 11
    assert run("status", JOB_ID, "--watch", "--quiet").output == ""


def test_an_unknown_job_is_said_in_the_services_words(run, service):
    """One line, no traceback."""
    service.respond("GET", "/status/nope", problem(404, "job_not_found", "There is no job nope."))
    result = run("status", "nope")
    assert (result.exit_code, result.stderr) == (ExitStatus.REFUSED, "There is no job nope.\n")


def test_an_id_cannot_become_another_path(run, service):
    """Whatever was pasted."""
    run("status", "../jobs?limit=1")
    assert service.requests[0].path == f"{ROOT}/status/..%2Fjobs%3Flimit%3D1"


def test_the_list_has_a_line_a_job(run, service):
    """Between tabs, for cut and awk."""
    service.respond("GET", "/jobs", {"total_jobs": 1, "jobs": [ended("some_failed", failed=3)], "next_cursor": None})
    head, line = run("list").stdout.splitlines()
    assert head.split("\t") == ["JOB", "ACCEPTED", "STATE", "HOSPITALS", "FAILED", "FILE"]
    fields = line.split("\t")
    assert [fields[0], *fields[2:]] == [JOB_ID, "partly created", "37 of 40", "3", "hospitals.csv"]


def test_the_list_is_narrowed_by_what_the_service_can(run, service):
    """Moments are of the caller's time zone."""
    service.respond("GET", "/jobs", {"total_jobs": 0, "jobs": [], "next_cursor": None})
    wanted = (
        "--outcome",
        "some_failed",
        "--needs-attention",
        "--file",
        "a.csv",
        "--from",
        "2026-03-01",
        "--to",
        "2026-03-02",
    )
    assert run("list", *wanted).exit_code == ExitStatus.DONE
    asked = parse_qs(service.requests[0].query)
    assert asked["from"] == [datetime(2026, 3, 1).astimezone().isoformat()]
    assert (asked["outcome"], asked["needs_attention"], asked["file_name"]) == (["some_failed"], ["true"], ["a.csv"])
    assert run("list").exit_code == ExitStatus.DONE
    assert parse_qs(service.requests[1].query) == {"limit": ["20"]}


def test_a_retry_can_choose_by_error_code(run, service):
    """Without one, no body is sent: an older service knows of none."""
    service.respond("POST", f"/jobs/{JOB_ID}/retry", {"message": "2 hospitals run again, as round 2."})
    assert "2 hospitals run again" in run("retry", JOB_ID, "--code", "rejected", "--code", "unprocessed").stdout
    run("retry", JOB_ID)
    first, second = service.calls("POST", f"/jobs/{JOB_ID}/retry")
    assert (json.loads(first.body), second.body) == ({"codes": ["rejected", "unprocessed"]}, b"")


def test_the_history_has_a_line_for_each_command_and_each_end(run, service):
    """Over all pages, with who gave it; nobody gave what the service did by itself."""
    entry = {"at": "2026-03-01T09:30:00Z", "round": 1, "requested_by": "north"}
    pages = [
        [entry | {"kind": "upload", "round": None}, entry | {"kind": "cancel", "reason": "max_failures"}],
        [
            entry | {"kind": "finished", "requested_by": None, "outcome": "cancelled"},
            entry | {"kind": "resolve", "row": 4, "hospital_id": None},
            entry | {"kind": "retry", "round": 2, "codes": ["rejected"]},
            entry | {"kind": "retry", "round": 2, "ignored": True},
            entry | {"kind": "activate", "round": None, "requested_by": None, "batch_id": "b-1"},
        ],
    ]
    documents = [{"entries": page, "next_cursor": cursor} for page, cursor in zip(pages, ("next", None), strict=True)]
    service.respond("GET", f"/jobs/{JOB_ID}/history", *documents)
    head, *lines = run("history", JOB_ID).stdout.splitlines()
    assert head.split("\t") == ["WHEN", "WHAT", "ROUND", "BY", "MORE"]
    assert [line.split("\t")[1:] for line in lines] == [
        ["upload", "", "north", ""],
        ["cancel", "1", "north", "more rows failed than the upload allows"],
        ["finished", "1", "", "cancelled"],
        ["resolve", "1", "north", "row 4: absent"],
        ["retry", "2", "north", "rejected"],
        ["retry", "2", "north", "came too late, nothing changed"],
        ["activate", "", "", "batch b-1, since all is created after correction"],
    ]


def test_a_search_turns_pages_until_it_has_found_enough(run, service):
    """No more than were asked for."""
    pages = [
        {"total_jobs": 900, "jobs": [job(file_name=f"north-{number}.csv")] * 200, "next_cursor": f"page-{number}"}
        for number in range(3)
    ]
    service.respond("GET", "/jobs", *pages)
    found = json.loads(run("list", "--search", "north", "--limit", "300", "--status", "processing", "--json").stdout)
    assert len(found["jobs"]) == 300
    assert [request.query for request in service.requests] == [
        "status=processing&q=north&limit=200",
        "status=processing&q=north&limit=200&cursor=page-0",
    ]


@pytest.mark.parametrize("kind", ["successful", "failed", "unprocessed", "all"])
def test_result_files_are_written(run, service, tmp_path, kind):
    """As the service sends them."""
    service.respond("GET", f"/jobs/{JOB_ID}/{kind}.csv", csv())
    target = tmp_path / "result.csv"
    result = run(kind, JOB_ID, "-o", target)
    assert result.exit_code == ExitStatus.DONE
    assert target.read_text() == CSV
    assert run(kind, JOB_ID).stdout == CSV


def test_a_file_that_ends_with_xlsx_is_a_workbook(run, service, tmp_path):
    """Standard output gets CSV: nobody reads a workbook there."""
    workbook = Answer(200, "PK", {"Content-Type": "application/vnd.ms-excel"})
    service.respond("GET", f"/jobs/{JOB_ID}/failed.xlsx", workbook)
    assert run("failed", JOB_ID, "-o", tmp_path / "failed.XLSX").exit_code == ExitStatus.DONE
    assert (tmp_path / "failed.XLSX").read_text() == "PK"


def test_rows_of_a_job_that_is_not_over_are_called_so(run, service, tmp_path):
    """There will be more of them."""
    so_far = Answer(200, CSV, {"Content-Type": "text/csv", "X-Result-Complete": "false"})
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", so_far)
    assert "The job is not over" in run("failed", JOB_ID, "-o", tmp_path / "failed.csv").stderr
    assert "The job is not over" in run("failed", JOB_ID).stderr


def test_a_result_file_that_breaks_off_is_fetched_again(run, service, tmp_path):
    """Until it is whole; nobody meets half a file under its name."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", csv(CSV[:20], broken=True), DROPPED, csv())
    target = tmp_path / "failed.csv"
    assert run("failed", JOB_ID, "-o", target).exit_code == ExitStatus.DONE
    assert target.read_text() == CSV
    assert [each.name for each in tmp_path.iterdir()] == ["failed.csv"]


def test_a_result_file_that_never_comes_leaves_the_old_one(run, service, tmp_path):
    """With the exit status of a service that cannot be reached."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", csv(CSV[:20], broken=True))
    target = tmp_path / "failed.csv"
    target.write_text("yesterday's")
    assert run("failed", JOB_ID, "-o", target, "--yes", "--patience", "0").exit_code == ExitStatus.NOT_REACHED
    assert target.read_text() == "yesterday's"
    assert [each.name for each in tmp_path.iterdir()] == ["failed.csv"]


def test_half_a_result_file_on_standard_output_is_no_success(run, service):
    """What was written cannot be taken back: the exit status and a line say so."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", csv(CSV[:20], broken=True))
    result = run("failed", JOB_ID)
    assert result.exit_code == ExitStatus.NOT_REACHED
    assert "not complete" in result.stderr


def test_a_place_that_cannot_be_written_to_is_named(run, service, tmp_path):
    """One line."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", csv())
    result = run("failed", JOB_ID, "-o", tmp_path / "nowhere" / "failed.csv")
    assert result.exit_code == ExitStatus.USAGE
    assert "No such file or directory" in result.stderr


@pytest.mark.parametrize("command", ["cancel", "retry"])
def test_commands_are_sent(run, service, command):
    """And answered in the service's words."""
    service.respond("GET", f"/status/{JOB_ID}", ended("some_failed", failed=3))
    service.respond("POST", f"/jobs/{JOB_ID}/{command}", {"job_id": JOB_ID, "round": 2, "message": "As you like."})
    result = run(command, JOB_ID)
    assert (result.exit_code, result.stdout) == (ExitStatus.DONE, "As you like.\n")
    assert json.loads(run(command, JOB_ID, "--json").stdout)["round"] == 2


def test_a_watched_retry_is_not_over_before_it_has_begun(run, service):
    """For a moment the job still shows its earlier end."""
    earlier = ended("some_failed", failed=3, completed_at="2026-03-01T09:31:00Z")
    service.respond("POST", f"/jobs/{JOB_ID}/retry", {"message": "3 hospitals run again, as round 2."})
    service.respond("GET", f"/status/{JOB_ID}", earlier, earlier, job(), ended(completed_at="2026-03-01T09:32:00Z"))
    result = run("retry", JOB_ID, "--watch")
    assert result.exit_code == ExitStatus.DONE
    assert result.stdout.splitlines()[-1] == "Completed: Over."


def test_a_watched_cancel_ends_as_the_job_does(run, service):
    """Cancelled, or over before the cancel came."""
    service.respond("POST", f"/jobs/{JOB_ID}/cancel", {"message": "The job is being cancelled."})
    service.respond("GET", f"/status/{JOB_ID}", ended("cancelled"))
    assert run("cancel", JOB_ID, "--watch").exit_code == ExitStatus.CANCELLED


def test_a_command_that_the_job_does_not_allow_is_refused(run, service):
    """With the reason."""
    service.respond("POST", f"/jobs/{JOB_ID}/cancel", problem(409, "job_finished", "The job has ended."))
    result = run("cancel", JOB_ID)
    assert (result.exit_code, result.stderr) == (ExitStatus.REFUSED, "The job has ended.\n")


def test_a_command_whose_answer_was_lost_is_not_sent_twice(run, service):
    """The second answer would be about the first."""
    service.respond("POST", f"/jobs/{JOB_ID}/retry", DROPPED)
    service.respond("GET", f"/status/{JOB_ID}", ended("some_failed", failed=3))
    assert run("retry", JOB_ID).exit_code == ExitStatus.NOT_REACHED
    assert len(service.calls("POST", f"/jobs/{JOB_ID}/retry")) == 1


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (["--hospital-id", "17"], {"hospital_id": 17}),
        (["--hospital-id", "017"], {"hospital_id": "017"}),
        (["--hospital-id", "h-17"], {"hospital_id": "h-17"}),
        (["--absent"], {"absent": True}),
    ],
)
def test_a_row_is_settled_with_what_was_found(run, service, words, finding):
    """The directory's own kind of id."""
    service.respond("POST", f"/jobs/{JOB_ID}/rows/7/resolve", {"message": "Row 7 is resolved."})
    assert run("resolve", JOB_ID, "7", *words).exit_code == ExitStatus.DONE
    assert json.loads(service.requests[0].body) == finding


@pytest.mark.parametrize("words", [["7"], ["7", "--absent", "--hospital-id", "1"], ["0", "--absent"]])
def test_a_row_is_not_settled_without_one_finding(run, service, words):
    """Nothing is asked."""
    assert run("resolve", JOB_ID, *words).exit_code == ExitStatus.USAGE
    assert service.requests == []


def test_a_batch_is_activated(run, service):
    """Or the directory's words say why not."""
    service.respond("PATCH", "/bulk/batch/b-1/activate", {"batch_id": "b-1", "activated": True, "message": "Done so."})
    assert run("activate", "b-1").stdout == "Done so.\n"
    service.respond("PATCH", "/bulk/batch/b-1/activate", problem(502, "activation_failed", "The directory did not."))
    result = run("activate", "b-1")
    assert (result.exit_code, result.stderr) == (ExitStatus.REFUSED, "The directory did not.\n")


def test_validate_names_every_kind_of_error(run, service, file):
    """On standard output: it is what was asked for. An older service tells no codes."""
    errors = [{"row": row, "column": "name", "message": "The name is missing."} for row in range(2, 1_002)]
    errors.append({"row": 7, "column": "address", "message": "The address is missing."})
    service.respond("POST", "/validate", checked(valid=False, errors=errors))
    result = run("validate", file)
    assert result.exit_code == ExitStatus.REFUSED
    assert result.stdout.splitlines() == [
        "1,000 rows, name: The name is missing.",
        "  rows 2, 3, 4, 5, 6 and 995 more",
        "row 7, address: The address is missing.",
    ]
    assert result.stderr.splitlines()[-1] == "The file has 1,001 errors."


def test_validate_tells_of_an_earlier_upload(run, service, file):
    """Nothing is asked, since nothing is sent."""
    before = [{"job_id": "job-of-yesterday", "created_at": "2026-03-01T09:30:00Z"}]
    service.respond("POST", "/validate", checked(same_file_as=before))
    result = run("validate", file)
    assert result.exit_code == ExitStatus.DONE
    assert "The file is right: 40 hospitals, about 4 seconds at the allowed pace." in result.stdout
    assert "job-of-yesterday" in result.stdout


def test_the_address_and_the_key_come_from_options_before_or_after_the_command_or_from_the_environment(
    run, service, monkeypatch
):
    """What stands in the command is worth more."""
    service.respond("GET", "/jobs", {"total_jobs": 0, "jobs": [], "next_cursor": None})
    monkeypatch.setenv("HOSPITAL_BULK_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HOSPITAL_BULK_API_KEY", "from the environment")
    assert run("--url", service.url, "list").exit_code == ExitStatus.DONE
    assert run("list", "--url", service.url + "/", "--api-key", "mine").exit_code == ExitStatus.DONE
    assert [request.headers["x-api-key"] for request in service.requests] == ["from the environment", "mine"]


def test_a_missing_key_says_where_it_belongs(run, service):
    """Behind the service's own words."""
    service.respond("GET", "/jobs", problem(401, "unauthorized", "Send a valid API key in the header X-API-Key."))
    assert "--api-key or HOSPITAL_BULK_API_KEY" in run("list").stderr


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://[", "http://a b"])
def test_an_address_that_is_none_is_a_wrong_command(run, service, url):
    """In an option or in the environment."""
    result = run("list", "--url", url)
    assert result.exit_code == ExitStatus.USAGE
    assert "--url" in result.stderr
    assert service.requests == []


def test_an_address_in_the_environment_that_is_none_is_named_by_its_variable(run, monkeypatch):
    """A person looks there then."""
    monkeypatch.setenv("HOSPITAL_BULK_URL", "localhost")
    result = run("list")
    assert result.exit_code == ExitStatus.USAGE
    assert "HOSPITAL_BULK_URL" in result.stderr


def test_something_else_at_the_address_is_called_so(run, service):
    """Not an error of the job."""
    service.respond("GET", "/jobs", Answer(200, "<html>It works!</html>", {"Content-Type": "text/html"}))
    result = run("list")
    assert result.exit_code == ExitStatus.NOT_REACHED
    assert "Is --url right?" in result.stderr
