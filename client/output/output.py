"""The protocol of the outputs: a terminal, plain lines, few lines, one JSON document."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from client.schemas import Job

#: Called with the number of bytes sent so far.
OnSent = Callable[[int], None]
#: Called with a job and its hospitals per second (None: unknown).
OnProgress = Callable[[Job, float | None], None]


class Output(Protocol):
    """Where a command writes its result, its notes and its errors."""

    def say(self, line: str) -> None:
        """A line of the result."""

    def answer(self, line: str) -> None:
        """A line that was asked for: it stays when other lines of the result are left out."""

    def show(self, line: str) -> None:
        """A line about a file before it is sent."""

    def note(self, line: str) -> None:
        """A line about what happens meanwhile."""

    def warn(self, line: str) -> None:
        """A line that somebody should read."""

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A result of several rows."""

    def document(self, document: dict[str, Any]) -> None:
        """The result for programs."""

    def error(self, lines: Sequence[str]) -> None:
        """Why the command failed; the first line is the most important one."""

    def sending(self, doing: str, name: str, size: int, /) -> AbstractContextManager[OnSent]:
        """Shows the sending of a file of `size` bytes. `doing`: its label, such as "Checking"."""

    def watching(self) -> AbstractContextManager[OnProgress]:
        """Shows the progress of a watched job."""
