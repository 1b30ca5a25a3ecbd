"""For files, pipes and logs: a line per change, no escape codes. Results on standard output, the rest beside it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from client.output import words
from client.output.output import Progressed, Sent
from client.schemas import Job


class PlainScreen:
    """Every line is written at once."""

    def say(self, line: str) -> None:
        """To standard output."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def note(self, line: str) -> None:
        """To standard error."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns between tabs: what `cut` and `awk` expect."""
        for row in (head, *rows):
            self.say("\t".join(row))

    def document(self, document: dict[str, Any]) -> None:
        """Nothing: the lines have said it."""

    def error(self, lines: Sequence[str]) -> None:
        """To standard error."""
        for line in lines:
            self.note(line)

    @contextmanager
    def sending(self, doing: str, name: str, size: int, /) -> Iterator[Sent]:
        """One line."""
        self.note(f"{doing} {words.printable(name)} ({words.size(size)})")
        yield lambda _: None

    @contextmanager
    def following(self) -> Iterator[Progressed]:
        """A line when the percentage, the state or the reason has changed."""
        before: tuple[object, ...] = ()

        def progressed(job: Job, per_second: float | None) -> None:
            nonlocal before
            now = (job.percent, job.status, job.waiting_for, job.cancelling)
            if now != before and not job.ended:
                self.say(words.progress(job, per_second))
            before = now

        yield progressed
