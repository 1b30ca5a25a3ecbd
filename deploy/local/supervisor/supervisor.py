"""Starts parts, keeps them running, and stops them: in sight of a person, one line for each thing that happens."""

import signal
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Final

from deploy.local.supervisor.managed_process import Part
from deploy.local.supervisor.not_started import NotStarted

_POLL_SECONDS: Final = 0.1
_START_SECONDS: Final = 90.0
#: Patience of a row of parts when everything is stopped, from the last row to the first: under 10 s together.
_STOP_SECONDS: Final = (5.0, 3.5)
#: A part that ends by itself is started again so many times in so many seconds; after that it would only go on dying.
_RESTARTS: Final = 3
_RESTARTS_SECONDS: Final = 60.0
_LINES_OF_LOG: Final = 10


class PartLost(NotStarted):
    """A part does not run and will not: the text names it and shows the end of its log."""


class Supervision:
    """The parts of one run: rows in the order of their start."""

    def __init__(self, rows: Sequence[Sequence[Part]]) -> None:
        self._rows = rows
        self._starting: dict[str, float] = {}
        self._ends: dict[str, deque[float]] = {part.name: deque() for part in self._parts}

    @property
    def _parts(self) -> list[Part]:
        return list(chain.from_iterable(self._rows))

    def start(self) -> None:
        """Starts all at once and returns when every one is ready. Raises NotStarted or PartLost."""
        for part in self._parts:
            self._start(part)
        deadline = time.monotonic() + _START_SECONDS
        while self._starting:
            self._note_the_ready()
            for part in self._parts:
                if how := part.ended():
                    raise _lost(f"{part.name} did not start ({how})", part)
            if time.monotonic() > deadline:
                late = next(part for part in self._parts if part.name in self._starting)
                raise _lost(f"{late.name} was not ready after {_START_SECONDS:.0f} s", late)
            time.sleep(_POLL_SECONDS)

    def watch(self) -> None:
        """Starts again what ends by itself; returns never. Raises PartLost for what keeps ending."""
        while True:
            for part in self._parts:
                if how := part.ended():
                    self._start_again(part, how)
            self._note_the_ready()
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stops every row when those behind it have ended. Another signal meanwhile kills them all."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._kill)
        say("\nStopping (Ctrl-C again: at once)")
        for row, patience in zip(reversed(self._rows), _STOP_SECONDS, strict=True):
            for part in reversed(row):
                part.ask_to_stop()
            deadline = time.monotonic() + patience
            for part in row:
                part.stop(deadline - time.monotonic())

    def _kill(self, _signal: int, _frame: FrameType | None) -> None:
        for part in self._parts:
            part.kill()

    def _start(self, part: Part) -> None:
        part.start()
        self._starting[part.name] = time.monotonic()

    def _start_again(self, part: Part, how: str) -> None:
        ends = self._ends[part.name]
        ends.append(time.monotonic())
        while ends[0] < time.monotonic() - _RESTARTS_SECONDS:
            ends.popleft()
        if len(ends) > _RESTARTS:
            raise _lost(f"{part.name} ended {len(ends)} times within a minute ({how})", part)
        say(f"{part.name} ended ({how}): starting it again. Its log: {shown(part.log)}")
        self._start(part)

    def _note_the_ready(self) -> None:
        for part in self._parts:
            if part.name in self._starting and part.ended() is None and part.is_ready():
                seconds = time.monotonic() - self._starting.pop(part.name)
                say(f"  {part.name:<10} ready after {seconds:4.1f} s   {part.address}")


def _lost(what: str, part: Part) -> PartLost:
    text = part.log.read_text(errors="replace") if part.log.exists() else ""
    end = "\n".join(f"    {line}" for line in text.splitlines()[-_LINES_OF_LOG:]) or "    (it said nothing)"
    return PartLost(f"{what}, so everything is stopped. The end of its log, {shown(part.log)}:\n{end}")


def shown(path: Path) -> str:
    """The path as a person in the current directory would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def say(line: str) -> None:
    """One line for the person at the terminal, at once."""
    print(line, flush=True)
