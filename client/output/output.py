"""Where a command shows what happens: a terminal, plain lines, or one JSON document."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from client.schemas import Job

#: Told how many bytes are sent.
Sent = Callable[[int], None]
#: Told how a job is, and its hospitals a second.
Progressed = Callable[[Job, float | None], None]


class Screen(Protocol):
    """What a command says, whoever reads it."""

    def say(self, line: str) -> None:
        """What was asked for."""

    def note(self, line: str) -> None:
        """What happens meanwhile."""

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The same for several things."""

    def document(self, document: dict[str, Any]) -> None:
        """What was asked for, for programs."""

    def error(self, lines: Sequence[str]) -> None:
        """Why it did not work; the first line is the point."""

    def sending(self, doing: str, name: str, size: int, /) -> AbstractContextManager[Sent]:
        """While a file of so many bytes is sent. `doing`: what for, such as "Checking"."""

    def following(self) -> AbstractContextManager[Progressed]:
        """While a job is watched."""
