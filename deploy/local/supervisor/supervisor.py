"""Starts processes, restarts them when they end, and stops them. Prints one line for each thing that happens."""

import signal
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Final

from deploy.local.supervisor.managed_process import ManagedProcess
from deploy.local.supervisor.not_started import NotStarted

_POLL_SECONDS: Final = 0.1
_START_SECONDS: Final = 90.0
#: How long the processes of a row may take to stop, from the last row to the first: under 10 s together.
_STOP_SECONDS: Final = (5.0, 3.5)
#: How often, in so many seconds, a process that ended by itself is restarted before everything is stopped.
_RESTARTS: Final = 3
_RESTARTS_SECONDS: Final = 60.0
_LINES_OF_LOG: Final = 10


class ProcessFailed(NotStarted):
    """A process did not start, or keeps ending. The text names it and shows the end of its log."""


class Supervisor:
    """The processes of one run, in rows: a row is stopped when the rows after it have ended."""

    def __init__(self, rows: Sequence[Sequence[ManagedProcess]]) -> None:
        self._rows = rows
        self._starting: dict[str, float] = {}
        self._ends: dict[str, deque[float]] = {process.name: deque() for process in self._processes}

    @property
    def _processes(self) -> list[ManagedProcess]:
        return list(chain.from_iterable(self._rows))

    def start(self) -> None:
        """Starts all processes at once and returns when every one is ready. Raises NotStarted or ProcessFailed."""
        for process in self._processes:
            self._start(process)
        deadline = time.monotonic() + _START_SECONDS
        while self._starting:
            self._report_ready()
            for process in self._processes:
                if how := process.ended():
                    raise _process_failed(f"{process.name} did not start ({how})", process)
            if time.monotonic() > deadline:
                late = next(process for process in self._processes if process.name in self._starting)
                raise _process_failed(f"{late.name} was not ready after {_START_SECONDS:.0f} s", late)
            time.sleep(_POLL_SECONDS)

    def watch(self) -> None:
        """Restarts each process that ends by itself; never returns. Raises ProcessFailed for one that keeps ending."""
        while True:
            for process in self._processes:
                if how := process.ended():
                    self._restart(process, how)
            self._report_ready()
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stops the rows, the last one first. Another signal meanwhile kills all processes."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._kill)
        say("\nStopping (Ctrl-C again: at once)")
        for row, timeout in zip(reversed(self._rows), _STOP_SECONDS, strict=True):
            for process in reversed(row):
                process.ask_to_stop()
            deadline = time.monotonic() + timeout
            for process in row:
                process.stop(deadline - time.monotonic())

    def _kill(self, _signal: int, _frame: FrameType | None) -> None:
        for process in self._processes:
            process.kill()

    def _start(self, process: ManagedProcess) -> None:
        process.start()
        self._starting[process.name] = time.monotonic()

    def _restart(self, process: ManagedProcess, how: str) -> None:
        ends = self._ends[process.name]
        ends.append(time.monotonic())
        while ends[0] < time.monotonic() - _RESTARTS_SECONDS:
            ends.popleft()
        if len(ends) > _RESTARTS:
            raise _process_failed(f"{process.name} ended {len(ends)} times within a minute ({how})", process)
        say(f"{process.name} ended ({how}): starting it again. Its log: {display_path(process.log)}")
        self._start(process)

    def _report_ready(self) -> None:
        for process in self._processes:
            if process.name in self._starting and process.ended() is None and process.is_ready():
                seconds = time.monotonic() - self._starting.pop(process.name)
                say(f"  {process.name:<10} ready after {seconds:4.1f} s   {process.address}")


def _process_failed(what: str, process: ManagedProcess) -> ProcessFailed:
    text = process.log.read_text(errors="replace") if process.log.exists() else ""
    end = "\n".join(f"    {line}" for line in text.splitlines()[-_LINES_OF_LOG:]) or "    (it said nothing)"
    return ProcessFailed(f"{what}, so everything is stopped. The end of its log, {display_path(process.log)}:\n{end}")


def display_path(path: Path) -> str:
    """The path, relative to the current directory where it is inside it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def say(line: str) -> None:
    """Prints one line and flushes it."""
    print(line, flush=True)
