"""How a file is to be read is sent, and how it was read is said before anything is created."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from client.exit_status import ExitStatus
from client.output import reading_words
from client.output.encoding_names import ENCODING_NAMES
from client.schemas import ValidationReport
from services.ingest.csv_file.encodings import python_encoding, shown_encoding
from tests.client.fake_service import JOB_ID, checked, problem, read

PAGE_NAMES = Path(__file__).parents[2] / "services/status/page/upload/encoding_choice.js"
UNUSED = {"row": 1, "column": "CITY", "code": "unused_column", "message": "The column 'CITY' is not sent."}
OTHER_NAMES = {"name": ["NAME OF IT"], "address": ["STREET", "CITY"], "phone": [], "unused": ["BEDS", "OWNER"]}


def sent(request):
    """The parameters of a request."""
    return {name: values[0] for name, values in parse_qs(request.query).items()}


def test_what_is_chosen_goes_with_the_check_and_the_upload(run, service, file):
    """Columns in their order; one that is given none; every other option by its name."""
    service.accept_uploads()
    service.respond("POST", "/validate", read())
    words = ["--map", "name=Hospital Name", "--map", "Address=STREET", "--map", "address=a=b", "--map", "phone="]
    words += ["--encoding", "windows-1252", "--sheet", "List 1", "--header-row", "3"]
    words += ["--allow-duplicates", "--repeat-created", "--strict", "--max-failures", "5%", "--corrects", JOB_ID]
    assert run("upload", file, *words).exit_code == ExitStatus.DONE
    parameters = [sent(request) for request in service.requests]
    assert parameters[0] == parameters[1]
    assert json.loads(parameters[0].pop("mapping")) == {
        "name": ["Hospital Name"],
        "address": ["STREET", "a=b"],
        "phone": None,
    }
    assert parameters[0] == {
        "encoding": "windows-1252",
        "sheet": "List 1",
        "header_row": "3",
        "allow_duplicates": "true",
        "repeat_created": "true",
        "strict": "true",
        "max_failures": "5%",
        "corrects": JOB_ID,
    }


@pytest.mark.parametrize("given", [["name"], ["beds=BEDS"], ["phone=", "phone=TEL"], ["name=A", "name=A"]])
def test_a_choice_of_columns_that_makes_no_sense_is_a_wrong_command(run, service, file, given):
    """Nothing is sent."""
    result = run("validate", file, *(word for text in given for word in ("--map", text)))
    assert result.exit_code == ExitStatus.USAGE
    assert service.requests == []


def test_an_upload_says_how_each_column_was_read_and_the_first_hospitals(run, service, file):
    """In few lines, on standard error: the answer is the job."""
    service.accept_uploads()
    service.respond("POST", "/validate", read(mapping=OTHER_NAMES, encoding="shift_jis", delimiter=";", header_row=3))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.DONE
    assert result.stderr.splitlines()[1:5] == [
        "Read: Shift-JIS (Japanese), separated by semicolons, header in row 3",
        "Columns: name from NAME OF IT; address from STREET + CITY; no phone; not sent: BEDS, OWNER",
        "As they will be sent:",
        "  row 2  Good Hope  1 Hope Street  +1 555 0101",
    ]
    assert result.stdout.startswith("Accepted: 40 hospitals")


def test_validate_says_so_on_standard_output(run, service, file):
    """It is what was asked for."""
    service.respond("POST", "/validate", read(mapping=OTHER_NAMES, warnings=[UNUSED], warnings_total=1))
    result = run("validate", file)
    assert result.exit_code == ExitStatus.DONE
    lines = result.stdout.splitlines()
    assert "no phone" in lines[0]
    assert "  row 1, CITY: The column 'CITY' is not sent." in lines
    assert lines[-1] == "The file is right: 40 hospitals, about 4 seconds at the allowed pace."


def test_wide_letters_and_long_cells_keep_their_columns():
    """A Japanese name takes two cells a letter."""
    rows = [
        {"row": 2, "name": "中央病院中央", "address": "x" * 80, "phone": None},
        {"row": 3, "name": "Lakeside\x1b", "address": "3 Lake Road", "phone": "1"},
    ]
    first, second = reading_words.reading(ValidationReport(**read(sample=rows)))[-2:]
    assert first == f"  row 2  中央病院中央  {'x' * 47}…  no phone"
    assert second.startswith("  row 3  Lakeside\ufffd     3 Lake Road  ")


def test_warnings_need_a_yes_where_nobody_can_be_asked(run, service, file):
    """They are shown, and nothing is sent."""
    service.accept_uploads()
    service.respond("POST", "/validate", read(warnings=[UNUSED], warnings_total=1))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.NOT_SENT
    assert "  row 1, CITY: The column 'CITY' is not sent." in result.stderr.splitlines()
    assert result.stderr.splitlines()[-1] == ("Not sent: hospitals.csv has 1 warning. Say --yes if that is meant.")
    assert service.calls("POST", "/bulk") == []
    result = run("upload", file, "--json")
    assert json.loads(result.stdout)["error_type"] == "not_confirmed"
    assert "The column 'CITY' is not sent." in result.stderr


def test_yes_shows_the_warnings_and_sends(run, service, file):
    """The log of a script has them."""
    service.accept_uploads()
    service.respond("POST", "/validate", read(warnings=[UNUSED], warnings_total=1))
    result = run("upload", file, "--yes")
    assert result.exit_code == ExitStatus.DONE
    assert "The column 'CITY' is not sent." in result.stderr
    assert len(service.calls("POST", "/bulk")) == 1


def test_hospitals_of_earlier_jobs_need_a_yes_too(run, service, file):
    """Also when the file is not the same byte for byte."""
    service.accept_uploads()
    rows = [{"row": 4, "job_id": JOB_ID, "job_row": 9}]
    service.respond("POST", "/validate", read(already_created={"count": 3, "rows": rows}))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.NOT_SENT
    assert f"3 hospitals were created before:\n  row 4: row 9 of job {JOB_ID}\n  and 2 more\n" in result.stderr
    assert "3 hospitals of hospitals.csv would be created a second time" in result.stderr
    assert "--repeat-created" in result.stderr
    for allowed in ("--yes", "--repeat-created"):
        assert run("upload", file, allowed).exit_code == ExitStatus.DONE
    assert [sent(each).get("repeat_created") for each in service.calls("POST", "/bulk")] == [None, "true"]


def test_the_same_file_may_be_meant_with_repeat_created(run, service, file):
    """That says it of every hospital. A warning still needs a yes."""
    service.accept_uploads()
    before = {"job_id": JOB_ID, "created_at": "2026-03-01T09:30:00Z"}
    service.respond("POST", "/validate", read(same_file_as=[before]))
    assert run("upload", file).exit_code == ExitStatus.NOT_SENT
    assert run("upload", file, "--repeat-created").exit_code == ExitStatus.DONE
    service.respond("POST", "/validate", read(same_file_as=[before], warnings=[UNUSED], warnings_total=1))
    assert run("upload", file, "--repeat-created").exit_code == ExitStatus.NOT_SENT


def test_a_corrected_file_says_which_job_it_corrects(run, service, file):
    """At the check and when it was accepted."""
    service.accept_uploads(corrects=JOB_ID)
    service.respond("POST", "/validate", read(corrects=JOB_ID))
    result = run("upload", file)
    assert result.exit_code == ExitStatus.DONE
    assert result.output.count(f"It corrects rows of job {JOB_ID}") == 2


def test_encodings_that_it_may_be_are_named_with_the_option(run, service, file):
    """With words as they would read."""
    guesses = [{"encoding": "windows-1252", "sample": "Hôpital"}, {"encoding": "macintosh", "sample": "HÙpital"}]
    unknown = {"row": None, "column": None, "code": "unknown_encoding", "message": "The file is not UTF-8."}
    found = {"errors": [unknown], "errors_total": 1, "encoding_guesses": guesses}
    service.respond("POST", "/validate", read(valid=False, mapping=None, sample=[], **found))
    service.respond("POST", "/bulk", problem(400, "invalid_file", "The file has 1 error.", **found))
    for words in (["validate", file], ["upload", file], ["upload", file, "--yes", "--quiet"]):
        result = run(*words)
        assert result.exit_code == ExitStatus.REFUSED
        assert "--encoding windows-1252 reads it as: Hôpital - Windows-1252 (Western Europe)" in result.output
        assert "--encoding macintosh reads it as: HÙpital" in result.output


def test_other_sheets_are_named_with_the_option(run, service, file):
    """The first is read, as the service says."""
    service.respond("POST", "/validate", read(sheet="List", sheets=["List", "Old", "Notes"], encoding=None))
    assert "Read: sheet 'List' (--sheet reads another: Old, Notes)" in run("validate", file).stdout


@pytest.mark.parametrize(
    "words", [["--map", "phone=TEL"], ["--encoding", "cp932"], ["--strict"], ["--yes", "--strict"]]
)
def test_an_older_service_that_would_ignore_a_choice_is_sent_nothing(run, service, file, words):
    """Phones would be lost without a word."""
    service.accept_uploads()
    result = run("upload", file, *words, "--quiet")
    assert result.exit_code == ExitStatus.REFUSED
    assert f"would ignore {words[-2] if '=' in words[-1] or words[-1] == 'cp932' else '--strict'}" in result.stderr
    assert service.calls("POST", "/bulk") == []


def test_the_command_that_finds_out_has_the_same_choices(run, service, file):
    """Else it would be another upload."""
    service.accept_uploads()
    service.respond("POST", "/validate", checked(**read()))
    service.respond("POST", "/bulk", problem(503, "busy", "Not now."))
    result = run("upload", file, "--map", "name=Hospital Name", "--key", "monday", "--patience", "0")
    assert result.exit_code == ExitStatus.NOT_REACHED
    assert f"hospital-bulk upload {file} --key monday --map 'name=Hospital Name'" in result.stderr


def test_quiet_says_the_job_and_nothing_else(run, service, file):
    """For `JOB=$(hospital-bulk upload …)`."""
    service.accept_uploads()
    result = run("upload", file, "--yes", "--quiet")
    assert (result.stdout, result.stderr) == (f"{JOB_ID}\n", "")
    assert len(service.requests) == 1
    service.respond("POST", "/validate", read())
    result = run("validate", file, "-q")
    assert (result.exit_code, result.output) == (ExitStatus.DONE, "")


def test_page_and_command_line_call_encodings_alike():
    """By names that the service takes, and uses itself."""
    names = re.search(r"const NAMES = \{(.*?)\};", PAGE_NAMES.read_text("utf-8"), re.DOTALL)
    assert dict(re.findall(r'^  "?([\w-]+)"?: "(.*)",$', names.group(1), re.MULTILINE)) == ENCODING_NAMES
    assert {name: shown_encoding(python_encoding(name)) for name in ENCODING_NAMES} == {
        name: name for name in ENCODING_NAMES
    }
