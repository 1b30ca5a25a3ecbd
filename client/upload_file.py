"""The file on its way: read piece by piece, whatever its size, with the bytes that are gone counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

#: name, content, type: a part of a multipart body as httpx takes it.
Part = tuple[str, IO[bytes], str]


class Counted:
    """A file that tells how much of it was read. httpx asks it for its number, to announce its length."""

    def __init__(self, file: BinaryIO, sent: Callable[[int], None]) -> None:
        self._file = file
        self._sent = sent

    def fileno(self) -> int:
        """The file's number."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self._sent(self._file.tell())
        return data


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file to send, as often as it takes. `sent(bytes)`: how far the sending is, from 0 again with each try."""

    path: Path
    sent: Callable[[int], None] = lambda _: None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path.name

    @property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size

    @contextmanager
    def opened(self) -> Iterator[Part]:
        """The part to send, from the file's beginning."""
        with self.path.open("rb") as file:
            yield self.name, Counted(file, self.sent), "text/csv"  # type: ignore[misc]
