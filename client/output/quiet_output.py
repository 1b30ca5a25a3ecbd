"""Output for scripts that want no more than they asked for: errors, and the answer itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from client.output.output import OnProgress, OnSent
from client.output.plain_output import PlainOutput


class QuietOutput(PlainOutput):
    """Leaves out what happens on the way. Errors go to standard error, answers to standard output."""

    def say(self, line: str) -> None:
        """Writes nothing."""

    def show(self, line: str) -> None:
        """Writes nothing."""

    def note(self, line: str) -> None:
        """Writes nothing."""

    @contextmanager
    def sending(self, _doing: str, _name: str, _size: int, /) -> Iterator[OnSent]:
        """Shows nothing."""
        yield lambda _: None

    @contextmanager
    def watching(self) -> Iterator[OnProgress]:
        """Shows nothing."""
        yield lambda _, __: None
