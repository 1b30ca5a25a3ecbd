"""What `make run` does with its processes, shown with fake programs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.local.ports import free_port

SUPERVISED = Path(__file__).with_name("supervised.py")
ROOT = Path(__file__).parents[3]


class Run:
    """A supervised run: its output so far, its processes."""

    def __init__(self, directory: Path, *wanted: str) -> None:
        self.output = directory / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(SUPERVISED), str(directory), *wanted],
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self.children: dict[int, psutil.Process] = {}

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str, count: int = 1) -> None:
        deadline = time.monotonic() + 20
        while self.text().count(text) < count:
            assert time.monotonic() < deadline, f"{text!r} was not said:\n{self.text()}"
            self.look()
            time.sleep(0.05)
        self.look()

    def look(self) -> None:
        """Remembers the processes that there are now."""
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.children.setdefault(child.pid, child)

    def pid_of(self, port: int) -> int:
        """The process of the fake program on this port."""
        self.look()
        return next(p.pid for p in self.children.values() if p.is_running() and str(port) in p.cmdline())

    def end(self, number: signal.Signals) -> float:
        """Signals it; seconds until it ended."""
        began = time.monotonic()
        self.look()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began

    def left(self) -> list[psutil.Process]:
        """The processes that are still there a moment later."""
        return psutil.wait_procs(list(self.children.values()), timeout=3)[1]


@pytest.fixture
def run(tmp_path):
    """Starts a supervised run; whatever is left of it is killed."""
    runs = []

    def start(*wanted: str) -> Run:
        runs.append(Run(tmp_path, *wanted))
        return runs[-1]

    yield start
    for each in runs:
        each.look()
        each.process.kill()
        each.process.wait()
        for child in each.left():
            child.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_no_process(run, number):
    """Ctrl-C, kill, or the end of the terminal."""
    running = run(f"first:{free_port()}:", f"one:{free_port()}:", f"two:{free_port()}:")
    running.wait_for("up")
    assert running.end(number) < 3
    assert "stopped by a signal" in running.text()
    assert len(running.children) == 3
    assert running.left() == []


def test_a_process_that_ignores_sigterm_is_killed_within_ten_seconds(run):
    """In every row, and with the processes that it started itself."""
    running = run(
        f"first:{free_port()}:ignores-sigterm", f"one:{free_port()}:ignores-sigterm+has-child", f"two:{free_port()}:"
    )
    running.wait_for("up")
    assert running.end(signal.SIGINT) < 10
    assert len(running.children) == 4
    assert running.left() == []


def test_a_frozen_process_is_stopped_too(run):
    """SIGSTOP holds back SIGTERM until SIGCONT."""
    port = free_port()
    running = run(f"first:{free_port()}:", f"one:{port}:")
    running.wait_for("up")
    os.kill(running.pid_of(port), signal.SIGSTOP)
    assert running.end(signal.SIGINT) < 3
    assert running.left() == []


def test_a_second_signal_kills_at_once(run):
    """Whoever presses Ctrl-C twice is in a hurry."""
    running = run(f"first:{free_port()}:ignores-sigterm", f"one:{free_port()}:ignores-sigterm")
    running.wait_for("up")
    running.process.send_signal(signal.SIGINT)
    running.wait_for("Stopping")
    assert running.end(signal.SIGINT) < 2
    assert running.left() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_kill_of_the_supervisor_leaves_no_process(run):
    """Not even those that ignore SIGTERM."""
    running = run(f"first:{free_port()}:ignores-sigterm", f"one:{free_port()}:")
    running.wait_for("up")
    running.end(signal.SIGKILL)
    assert len(running.children) == 2
    assert running.left() == []


def test_a_signal_while_it_starts_stops_what_was_started(run):
    """Nobody has to wait until everything is up."""
    running = run(f"first:{free_port()}:", f"one:{free_port()}:slow")
    running.wait_for("first")
    assert running.end(signal.SIGINT) < 3
    assert "up" not in running.text().split()
    assert running.left() == []


def test_a_process_that_dies_is_started_again_in_its_own_log(run, tmp_path):
    """With one line that names it, says how it ended and where its log is."""
    port = free_port()
    running = run(f"first:{free_port()}:", f"one:{port}:")
    running.wait_for("up")
    killed = running.pid_of(port)
    os.kill(killed, signal.SIGKILL)
    running.wait_for("one        ready", count=2)
    [line] = [line for line in running.text().splitlines() if "ended" in line]
    assert line == f"one ended (signal 9): starting it again. Its log: {tmp_path / 'one.log'}"
    assert running.pid_of(port) != killed
    assert (tmp_path / "one.log").read_text().count("listening on") == 2


def test_a_process_that_keeps_dying_stops_everything_and_says_why(run, tmp_path):
    """With the end of its log, so that nobody has to look for it."""
    port = free_port()
    running = run(f"first:{free_port()}:", f"one:{port}:")
    running.wait_for("up")
    for number in range(1, 5):
        os.kill(running.pid_of(port), signal.SIGKILL)
        if number < 4:
            running.wait_for("one        ready", count=number + 1)
    assert running.process.wait(10) == 1
    assert "one ended 4 times within a minute (signal 9)" in running.text()
    assert f"listening on {port}" in running.text()
    assert running.left() == []


def test_a_process_that_does_not_start_stops_everything_and_its_log_is_shown(run):
    """A wrong setting is read from the terminal, not from a log file."""
    running = run(f"first:{free_port()}:", f"one:{free_port()}:fails")
    assert running.process.wait(10) == 1
    assert "one did not start (exit status 1)" in running.text()
    assert "a setting is wrong" in running.text()
    assert running.left() == []


def test_the_log_of_the_run_before_is_kept(run, tmp_path):
    """What went wrong yesterday can still be read after a new start."""
    for _ in range(2):
        running = run(f"first:{free_port()}:", f"one:{free_port()}:")
        running.wait_for("up")
        running.end(signal.SIGINT)
    assert (tmp_path / "one.log").read_text().count("listening on") == 1
    assert (tmp_path / "one.log.before").read_text().count("listening on") == 1
