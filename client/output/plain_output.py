"""Output for files, pipes and logs: a line per change worth one, without escape codes.

Results go to standard output, notes and errors to standard error.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from client.output import words
from client.output.output import OnProgress, OnSent
from client.schemas import Job


class PlainOutput:
    """Flushes each line."""

    def say(self, line: str) -> None:
        """Writes to standard output."""
        _write(sys.stdout, line)

    def answer(self, line: str) -> None:
        """Writes to standard output."""
        _write(sys.stdout, line)

    def show(self, line: str) -> None:
        """Writes to standard error."""
        _write(sys.stderr, line)

    def note(self, line: str) -> None:
        """Writes to standard error."""
        _write(sys.stderr, line)

    def warn(self, line: str) -> None:
        """Writes to standard error."""
        _write(sys.stderr, line)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Writes the columns separated by tabs, for `cut` and `awk`."""
        for row in (head, *rows):
            self.answer("\t".join(row))

    def document(self, document: dict[str, Any]) -> None:
        """Writes nothing: the lines have it."""

    def error(self, lines: Sequence[str]) -> None:
        """Writes to standard error."""
        for line in lines:
            _write(sys.stderr, line)

    @contextmanager
    def sending(self, doing: str, name: str, size: int, /) -> Iterator[OnSent]:
        """Writes one line."""
        self.note(f"{doing} {words.printable(name)} ({words.size(size)})")
        yield lambda _: None

    @contextmanager
    def watching(self) -> Iterator[OnProgress]:
        """Writes a line when the state or the reason has changed, and for each tenth of the job."""
        before: tuple[object, ...] = ()

        def on_progress(job: Job, per_second: float | None) -> None:
            nonlocal before
            now = (job.percent // 10, job.status, job.waiting_for, job.cancelling)
            if now != before and not job.ended:
                self.say(words.progress(job, per_second))
            before = now

        yield on_progress


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
