"""The files that a command names: paths, patterns, and standard input."""

import glob
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

import typer

STANDARD_INPUT: Final = "-"
#: What the service takes. A pipe with another name is sent as a CSV.
_SUFFIXES: Final = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that can be read several times. `name`: without its folder; `argument`: as the command names it."""

    path: Path
    name: str
    argument: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size

    @property
    def version(self) -> tuple[int, int]:
        """Its size and when it was written: another one when it was saved again."""
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns


def find_files(arguments: Sequence[str]) -> list[str]:
    """The files of a command, each once. A pattern in quotes is one too: not every shell fills it in.

    Raises BadParameter for one that does not exist, for a folder, and for a pattern without a file.
    """
    found: dict[object, str] = {}
    for argument in arguments:
        for each in _named_by(argument):
            found.setdefault(STANDARD_INPUT if each == STANDARD_INPUT else Path(each).resolve(), each)
    return list(found.values())


def _named_by(argument: str) -> list[str]:
    path = Path(argument)
    if argument == STANDARD_INPUT or (path.exists() and not path.is_dir()):
        return [argument]
    if path.is_dir():
        raise typer.BadParameter(f"{argument!r} is a folder. Name its files: {str(path / '*.csv')!r}")
    if not glob.has_magic(argument):
        raise typer.BadParameter(f"{argument!r} does not exist")
    named = glob.iglob(argument, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    files = sorted(each for each in named if not Path(each).is_dir())
    if not files:
        raise typer.BadParameter(f"there is no file {argument!r}")
    return files


@contextmanager
def opened(arguments: Sequence[str]) -> Iterator[list[LocalFile]]:
    """The files, until the `with` block ends. What can be read only once is copied to a temporary folder.

    Raises OSError when one cannot be read.
    """
    with TemporaryDirectory(prefix="hospital-bulk-") as folder:
        yield [_opened(argument, Path(folder, str(number))) for number, argument in enumerate(arguments)]


def _opened(argument: str, copy: Path) -> LocalFile:
    if argument == STANDARD_INPUT:
        _copy(sys.stdin.buffer, copy)
        return LocalFile(copy, "stdin.csv", argument)
    path = Path(argument)
    if path.is_file():
        path.open("rb").close()
        return LocalFile(path, path.name, argument)
    with path.open("rb") as pipe:
        _copy(pipe, copy)
    return LocalFile(copy, path.name if path.suffix.lower() in _SUFFIXES else f"{path.name}.csv", argument)


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
