"""What a person sees: bars at a terminal, a question, and what Ctrl-C says."""

import io
import signal

import pytest
from rich.console import Console

from client.exit_status import ExitStatus
from client.output.terminal_output import TerminalOutput
from client.schemas import Job
from tests.client.fake_service import JOB_ID, checked, job
from tests.client.terminal import terminal

SAME_FILE = [{"job_id": "job-of-yesterday", "created_at": "2026-03-01T09:30:00Z"}]


@pytest.fixture
def written():
    """What is written to a terminal of 120 columns."""
    return io.StringIO()


@pytest.fixture
def output(written):
    return TerminalOutput(Console(file=written, force_terminal=True, width=120, highlight=False, emoji=False))


def test_a_job_has_a_bar_its_rate_and_the_reason_why_it_waits(output, written):
    """The reason stands below, and goes when it does."""
    with output.watching() as on_progress:
        on_progress(Job(**job(failed_hospitals=2, waiting_for="paused")), 9.8)
    text = written.getvalue()
    for expected in ("Running", "10 of 40, 25 %, 2 failed", "9.8 a second, 30 seconds left", "Sending is paused"):
        assert expected in text


def test_a_file_has_a_bar_and_then_waits_for_its_answer(output, written):
    """A million rows are checked for a while after the last byte is sent."""
    with output.sending("Sending", "hospitals.csv", 2_000) as sent:
        sent(1_000)
        sent(2_000)
    assert "Sending hospitals.csv (sent, waiting for the answer)" in written.getvalue()


def test_somebodys_text_is_no_markup(output, written):
    """A hospital may be called [red]."""
    output.say("[red]Cross[/red] :hospital:")
    output.table(("FILE",), [("[red]a.csv",)])
    assert "[red]Cross[/red] :hospital:" in written.getvalue()
    assert "[red]a.csv" in written.getvalue()


def test_ctrl_c_says_that_the_job_goes_on_and_how_to_watch_it_again(service, file):
    """Watching is all that ends."""
    service.accept_uploads()
    service.respond("GET", f"/status/{JOB_ID}", job())
    with terminal(service, "upload", file, "--watch") as at:
        at.until("10 of 40, 25 %")
        at.process.send_signal(signal.SIGINT)
        assert at.end() == ExitStatus.INTERRUPTED
    assert "The job goes on without this command." in at.seen
    assert f"hospital-bulk status {JOB_ID} --watch" in at.seen
    assert "Traceback" not in at.seen


@pytest.mark.parametrize(("answer", "status", "uploads"), [("y", ExitStatus.DONE, 1), ("n", ExitStatus.NOT_SENT, 0)])
def test_at_a_terminal_the_same_file_is_asked_about(service, file, answer, status, uploads):
    """With the earlier job and its day; nothing is sent without a yes."""
    service.accept_uploads()
    service.respond("POST", "/validate", checked(same_file_as=SAME_FILE))
    with terminal(service, "upload", file) as at:
        at.until("Send it all the same?")
        at.type(answer + "\n")
        assert at.end() == status
    assert "as job job-of-yesterday on 2026-03-01" in at.seen
    assert len(service.calls("POST", "/bulk")) == uploads
