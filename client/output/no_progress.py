"""What outputs share that show nothing while a file is sent or a job is watched."""

from collections.abc import Iterator
from contextlib import contextmanager

from client.output.output import OnProgress, OnSent


class NoProgress:
    """The part of an output that is about progress."""

    @contextmanager
    def sending(self, _doing: str, _name: str, _size: int, /) -> Iterator[OnSent]:
        """Shows nothing."""
        yield lambda _: None

    @contextmanager
    def watching(self) -> Iterator[OnProgress]:
        """Shows nothing."""
        yield lambda _, __: None
