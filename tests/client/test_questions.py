"""What a person at a terminal is asked before anything is sent, and what each answer does."""

import signal
from urllib.parse import parse_qs

import pytest

from client.exit_status import ExitStatus
from tests.client.fake_service import JOB_ID, Answer, read
from tests.client.terminal import terminal

WARNING = {"row": 40, "column": "name", "code": "footer", "message": "'Total' looks like a footer.", "value": "Total"}
OTHER_NAMES = {"name": ["病院名"], "address": ["住所"], "phone": ["電話"], "unused": []}
GUESSES = [{"encoding": "shift_jis", "sample": "中央病院"}, {"encoding": "windows-1252", "sample": "Å½Ã»"}]
UNKNOWN = {"row": None, "column": None, "code": "unknown_encoding", "message": "The file is not UTF-8."}
NOT_READ = read(valid=False, errors=[UNKNOWN], errors_total=1, mapping=None, sample=[], encoding_guesses=GUESSES)


def chosen(service, name, path="/bulk"):
    """The value of a parameter in each request."""
    return [parse_qs(request.query).get(name, [None])[0] for request in service.calls("POST", path)]


@pytest.mark.parametrize(
    ("answer", "status", "uploads"),
    [("y", ExitStatus.DONE, 1), ("n", ExitStatus.NOT_SENT, 0), ("", ExitStatus.NOT_SENT, 0)],
)
@pytest.mark.parametrize(
    ("verdict", "question"),
    [
        (read(warnings=[WARNING], warnings_total=1), "hospitals.csv has 1 warning. Send it all the same?"),
        (read(mapping=OTHER_NAMES), "Send these 40 hospitals?"),
    ],
    ids=["warning", "other names"],
)
def test_what_is_in_doubt_is_shown_and_asked(service, file, verdict, question, answer, status, uploads):
    """Enter is no yes: what is created cannot be undone."""
    service.accept_uploads()
    service.respond("POST", "/validate", verdict)
    with terminal(service, "upload", file) as at:
        at.until(question)
        at.type(answer + "\n")
        assert at.end() == status
    assert "Columns: name from " in at.seen
    assert "row 2  Good Hope  1 Hope Street  +1 555 0101" in at.seen
    assert len(service.calls("POST", "/bulk")) == uploads


@pytest.mark.parametrize(
    "words", [[], ["--map", "name=病院名", "--map", "address=住所", "--map", "phone=電話"], ["--yes"]]
)
def test_what_is_as_it_is_called_or_chosen_is_not_asked(service, file, words):
    """At most one question, and none for a file that is right."""
    service.accept_uploads()
    service.respond("POST", "/validate", read(mapping=OTHER_NAMES) if words else read())
    with terminal(service, "upload", file, *words) as at:
        assert at.end() == ExitStatus.DONE
    assert "Columns: name from " in at.seen
    assert "[y/N]" not in at.seen


def test_an_encoding_is_chosen_by_what_reads_right(service, file):
    """That was the question: its other names are not asked about once more."""
    service.accept_uploads()
    service.respond("POST", "/validate", NOT_READ, read(mapping=OTHER_NAMES, encoding="shift_jis"))
    with terminal(service, "upload", file) as at:
        at.until("hospitals.csv is not UTF-8. Which of these reads right? 1 to 2; Enter: none of them")
        assert "1  Shift-JIS (Japanese): 中央病院" in at.seen
        at.type("7\n")
        at.until("Enter: none of them:", times=2)
        at.type("1\n")
        assert at.end() == ExitStatus.DONE
    assert "Read: Shift-JIS (Japanese)" in at.seen
    assert chosen(service, "encoding", "/validate") == [None, "shift_jis"]
    assert chosen(service, "encoding") == ["shift_jis"]


def test_no_encoding_that_reads_right_is_sent(service, file):
    """Enter leaves the file as it is."""
    service.respond("POST", "/validate", NOT_READ)
    with terminal(service, "upload", file) as at:
        at.until("Enter: none of them:")
        at.type("\n")
        assert at.end() == ExitStatus.REFUSED
    assert "--encoding shift_jis reads it as: 中央病院" in at.seen
    assert service.calls("POST", "/bulk") == []


@pytest.mark.parametrize(("answer", "sheet", "checks"), [("\n", "List", 1), ("2\n", "Old", 2)])
def test_a_sheet_is_chosen(service, file, answer, sheet, checks):
    """Enter takes the one that was read."""
    service.accept_uploads()
    service.respond("POST", "/validate", *(read(sheet=each, sheets=["List", "Old"]) for each in ("List", "Old")))
    with terminal(service, "upload", file) as at:
        at.until("hospitals.csv has several sheets. Which one? 1 to 2; Enter: List:")
        at.type(answer)
        assert at.end() == ExitStatus.DONE
    assert len(service.calls("POST", "/validate")) == checks
    assert chosen(service, "sheet") == [sheet]


def test_validate_says_how_to_send_it_as_it_was_read(service, file):
    """What was chosen is not lost."""
    service.respond("POST", "/validate", NOT_READ, read(encoding="shift_jis"))
    with terminal(service, "validate", file) as at:
        at.until("Enter: none of them:")
        at.type("1\n")
        assert at.end() == ExitStatus.DONE
    assert f"hospital-bulk upload {file} --encoding shift_jis" in at.seen


@pytest.mark.parametrize(("answer", "status", "content"), [("y", 0, "new"), ("n", ExitStatus.USAGE, "mine")])
def test_a_file_that_is_there_is_asked_about(service, tmp_path, answer, status, content):
    """Before it is fetched."""
    service.respond("GET", f"/jobs/{JOB_ID}/failed.csv", Answer(200, "new", {"Content-Type": "text/csv"}))
    target = tmp_path / "failed.csv"
    target.write_text("mine")
    with terminal(service, "failed", JOB_ID, "-o", target) as at:
        at.until("failed.csv is there already. Replace it?")
        at.type(answer + "\n")
        assert at.end() == status
    assert target.read_text() == content


def test_a_file_that_was_saved_while_it_was_asked_about_is_not_sent(service, file):
    """The yes was for what had been checked."""
    service.accept_uploads()
    service.respond("POST", "/validate", read(mapping=OTHER_NAMES))
    with terminal(service, "upload", file) as at:
        at.until("Send these 40 hospitals?")
        file.write_text("name,address\nElsewhere,9 Other Road\n")
        at.type("y\n")
        assert at.end() == ExitStatus.NOT_SENT
    assert "hospitals.csv has changed since it was checked. Not sent: start again." in at.seen
    assert service.calls("POST", "/bulk") == []


def test_ctrl_c_at_a_question_sends_nothing(service, file):
    """And says so."""
    service.accept_uploads()
    service.respond("POST", "/validate", read(mapping=OTHER_NAMES))
    with terminal(service, "upload", file) as at:
        at.until("Send these 40 hospitals?")
        at.process.send_signal(signal.SIGINT)
        assert at.end() == ExitStatus.INTERRUPTED
    assert "Interrupted: nothing was sent." in at.seen
    assert service.calls("POST", "/bulk") == []
