"""Which files are meant: pipes, patterns, several at once; and which are not touched."""

import json
import os
import subprocess
import sys
import threading

import pytest

from client.exit_status import ExitStatus
from tests.client.fake_service import JOB_ID, Answer, ended, problem, read

CSV = b"name,address\nGood Hope,1 Hope Street\n"


def hospital_bulk(service, *words, stdin):
    """The command in a process of its own, behind a pipe."""
    environment = {**os.environ, "HOSPITAL_BULK_URL": service.url}
    command = [sys.executable, "-m", "client", *map(str, words)]
    return subprocess.run(command, env=environment, input=stdin, capture_output=True, timeout=60)


def file_names(service, path="/bulk"):
    """The names of the files that were sent, in order."""
    bodies = [request.body for request in service.calls("POST", path)]
    return [body.partition(b'filename="')[2].partition(b'"')[0].decode() for body in bodies]


@pytest.mark.parametrize(
    ("argument", "name"), [("-", "stdin.csv"), ("/dev/stdin", "stdin.csv"), ("/dev/fd/0", "0.csv")]
)
def test_standard_input_is_a_file(service, argument, name):
    """It is read once and sent twice; a pipe cannot be read from its beginning again."""
    service.accept_uploads()
    done = hospital_bulk(service, "upload", argument, stdin=CSV)
    assert done.returncode == ExitStatus.DONE, done.stderr
    assert [CSV in request.body for request in service.requests] == [True, True]
    assert file_names(service) == [name]


def test_a_named_pipe_is_a_file(run, service, tmp_path):
    """Under its own name."""
    service.accept_uploads()
    pipe = tmp_path / "export.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(CSV))
    writer.start()
    assert run("upload", pipe).exit_code == ExitStatus.DONE
    writer.join()
    assert file_names(service) == ["export.csv"]
    assert CSV in service.requests[1].body


def test_what_was_copied_is_gone_afterwards(service, tmp_path):
    """Also when the file is refused."""
    service.respond("POST", "/validate", problem(415, "not_a_csv", "No."))
    environment_folder = tmp_path / "temporary"
    environment_folder.mkdir()
    command = [sys.executable, "-m", "client", "validate", "-"]
    environment = {**os.environ, "HOSPITAL_BULK_URL": service.url, "TMPDIR": str(environment_folder)}
    done = subprocess.run(command, env=environment, input=CSV, capture_output=True, timeout=60)
    assert done.returncode == ExitStatus.REFUSED
    assert list(environment_folder.iterdir()) == []


@pytest.fixture
def folder(tmp_path):
    """Three files and one that is none of theirs."""
    for name in ("b.csv", "a.csv", "c.csv", "notes.txt"):
        (tmp_path / name).write_bytes(CSV)
    return tmp_path


def test_a_pattern_that_the_shell_left_alone_names_its_files(run, service, folder):
    """In the order of their names, each once."""
    service.accept_uploads()
    assert run("upload", folder / "*.csv", folder / "b.csv").exit_code == ExitStatus.DONE
    assert file_names(service) == ["a.csv", "b.csv", "c.csv"]
    assert len({request.headers["idempotency-key"] for request in service.calls("POST", "/bulk")}) == 3


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(run, service, folder):
    """It is looked for first."""
    service.accept_uploads()
    (folder / "a[1].csv").write_bytes(CSV)
    assert run("upload", folder / "a[1].csv").exit_code == ExitStatus.DONE
    assert file_names(service) == ["a[1].csv"]


@pytest.mark.parametrize("argument", ["none.csv", "*.tsv", "."])
def test_what_names_no_file_is_a_wrong_command(run, service, folder, argument):
    """Nothing is sent, not even the others."""
    result = run("upload", folder / "a.csv", folder / argument)
    assert result.exit_code == ExitStatus.USAGE
    assert service.requests == []


def test_a_key_is_of_one_file(run, service, folder):
    """Two jobs cannot have it."""
    assert run("upload", folder / "*.csv", "--key", "monday").exit_code == ExitStatus.USAGE
    assert service.requests == []


def test_of_several_files_none_is_sent_when_one_has_errors(run, service, folder):
    """All are checked first, and each error says of which file it is."""
    service.accept_uploads()
    bad = read(valid=False, errors=[{"row": 2, "column": "name", "message": "Missing."}], errors_total=1)
    service.respond("POST", "/validate", read(), bad, read())
    result = run("upload", folder / "*.csv", "--json")
    assert result.exit_code == ExitStatus.REFUSED
    assert "b.csv: The file has 1 error; nothing was sent." in result.stderr
    assert "Not sent: a.csv, c.csv." in result.stderr
    documents = json.loads(result.stdout)["files"]
    assert [each["error_type"] for each in documents] == ["not_sent", "invalid_file", "not_sent"]
    assert [each["file"] for each in documents] == [str(folder / f"{name}.csv") for name in "abc"]
    assert service.calls("POST", "/bulk") == []


def test_what_cannot_be_sent_stops_those_behind_it(run, service, folder):
    """Those before it are jobs already."""
    service.accept_uploads()
    [accepted] = service.answers["POST", "/api/v1/hospitals/bulk"]
    service.respond("POST", "/bulk", accepted, problem(422, "key_reused", "This key belongs to another upload."))
    result = run("upload", folder / "*.csv")
    assert result.exit_code == ExitStatus.REFUSED
    assert f"a.csv: Accepted: 40 hospitals, job {JOB_ID}" in result.stdout
    assert "b.csv: This key belongs to another upload." in result.stderr
    assert "Not sent: c.csv." in result.stderr


def test_several_watched_files_end_as_the_first_that_did_not_end_well(run, service, folder):
    """All are waited for."""
    service.accept_uploads()
    service.respond(
        "GET", f"/status/{JOB_ID}", ended(), ended("some_failed", failed=3), ended("none_created", failed=40)
    )
    result = run("upload", folder / "*.csv", "--watch", "--json")
    assert result.exit_code == ExitStatus.SOME_FAILED
    assert [each["outcome"] for each in json.loads(result.stdout)["files"]] == [
        "all_created",
        "some_failed",
        "none_created",
    ]


def test_several_files_are_validated_to_the_last(run, service, folder):
    """One that has errors stops none."""
    bad = read(valid=False, errors=[{"row": 2, "column": "name", "message": "Missing."}], errors_total=1)
    service.respond("POST", "/validate", bad, read(), read())
    result = run("validate", folder / "*.csv")
    assert result.exit_code == ExitStatus.REFUSED
    assert "a.csv has 1 error." in result.stderr
    assert "c.csv is right: 40 hospitals" in result.stdout


def test_a_result_file_replaces_none_unasked(run, service, tmp_path):
    """Nothing is fetched; `--yes` means it."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", Answer(200, "new", {"Content-Type": "text/csv"}))
    target = tmp_path / "failed.csv"
    target.write_text("corrected by hand")
    result = run("failed", JOB_ID, "-o", target)
    assert result.exit_code == ExitStatus.USAGE
    assert "failed.csv is there already, and stays. --yes replaces it." in result.stderr
    assert (target.read_text(), service.requests) == ("corrected by hand", [])
    assert run("failed", JOB_ID, "-o", target, "--yes").exit_code == ExitStatus.DONE
    assert target.read_text() == "new"


def test_a_file_that_appears_while_another_is_fetched_stays(run, service, tmp_path):
    """Two commands at once cannot replace one another's."""
    target = tmp_path / "failed.csv"

    class Appears(str):
        __slots__ = ()

        def encode(self, *_):
            target.write_text("somebody's")
            return b"new"

    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", Answer(200, Appears(), {"Content-Type": "text/csv"}))
    result = run("failed", JOB_ID, "-o", target)
    assert result.exit_code == ExitStatus.USAGE
    assert target.read_text() == "somebody's"
    assert [each.name for each in tmp_path.iterdir()] == ["failed.csv"]


@pytest.mark.parametrize("words", [["-h"], ["upload", "-h"], ["--help"]])
def test_help_has_a_short_name(run, words):
    """Everywhere."""
    result = run(*words)
    assert (result.exit_code, result.stdout.startswith("Usage: ")) == (0, True)


def test_the_help_tells_of_statuses_and_completion(run):
    """All that a script has to know."""
    words = " ".join(run("--help").stdout.split())
    for status in ExitStatus:
        assert f"{status.value} " in words
    assert "hospital-bulk --install-completion" in words


def test_the_version_is_said(run):
    """One line."""
    assert run("--version").stdout.startswith("hospital-bulk ")
