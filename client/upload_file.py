"""A file on its way: it is read in small pieces, and a callback learns how much was read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

#: Name, content, media type: a part of a multipart body as httpx takes it.
FilePart = tuple[str, IO[bytes], str]


class CountingReader:
    """A readable file that reports its position after each read. httpx needs `fileno` to know the length."""

    def __init__(self, file: BinaryIO, on_sent: Callable[[int], None]) -> None:
        self._file = file
        self._on_sent = on_sent

    def fileno(self) -> int:
        """The file descriptor."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all that are left by default."""
        data = self._file.read(size)
        self._on_sent(self._file.tell())
        return data


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A file that can be sent several times. `on_sent(bytes)`: how much was read; each try begins at 0 again."""

    path: Path
    name: str
    on_sent: Callable[[int], None] = lambda _: None

    @contextmanager
    def open(self) -> Iterator[FilePart]:
        """The part of the multipart body, from the file's beginning. Raises OSError when it cannot be read."""
        with self.path.open("rb") as file:
            yield self.name, CountingReader(file, self.on_sent), "text/csv"  # type: ignore[misc]
