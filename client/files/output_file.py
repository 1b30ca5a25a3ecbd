"""Writes a file under its name only when it is whole, and replaces none that nobody gave up."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from client.errors import FileExists
from client.output.words import printable

#: Asks a person a question: yes or no; None when there is nobody to ask.
Ask = Callable[[str], bool | None]


def may_write(target: Path, yes: bool, ask: Ask) -> bool:
    """Whether a file of this name may be replaced; nothing is asked when there is none. Raises FileExists."""
    if yes or not target.is_file():  # a pipe or a device has nothing to lose
        return yes
    name = printable(str(target))
    answer = ask(f"{name} is there already. Replace it?")
    if not answer:
        raise FileExists(f"{name} is there already, and stays." + (" --yes replaces it." if answer is None else ""))
    return True


@contextmanager
def written_whole(target: Path, replace: bool) -> Iterator[BinaryIO]:
    """A file to write to. An older one stays until the `with` block has ended well. Raises FileExists, OSError."""
    if target.exists() and not target.is_file():  # a pipe or a device: there is nothing to replace
        with target.open("wb") as file:
            yield file
        return
    part = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            yield file
        if replace:
            part.replace(target)
        else:
            _name(part, target)
    finally:
        part.unlink(missing_ok=True)


def _name(part: Path, target: Path) -> None:
    """Gives the file its name, unless another one has got it meanwhile."""
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise FileExists(f"{printable(str(target))} was written by somebody else meanwhile, and stays.") from error
    except OSError:  # a file system without hard links
        part.replace(target)
