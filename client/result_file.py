"""A result file on its way to disk: it has its name only when it is whole."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from client.api import Api
from client.errors import NoAnswer, TryAgain


@dataclass(frozen=True, slots=True)
class Written:
    """How many bytes, whether the job can still change what is in them, and how many rows may be in the directory."""

    bytes: int
    complete: bool
    unknown: int


def save(api: Api, job_id: str, kind: str, target: Path) -> Written:
    """Writes the file. An older one stays until the new one is whole."""
    return api.patience.harmless(lambda: _save_once(api, job_id, kind, target), api.told)


def show(api: Api, job_id: str, kind: str) -> Written:
    """Writes the file to standard output. What was written cannot be taken back."""
    written = 0
    try:
        with api.result_file(job_id, kind) as coming:
            for chunk in coming.chunks:
                written += sys.stdout.buffer.write(chunk)
    except TryAgain as setback:
        if not written:
            raise
        raise NoAnswer(f"The file is not complete: it broke off after {written:,} bytes. {setback}") from setback
    sys.stdout.buffer.flush()
    return Written(written, coming.complete, coming.unknown)


def _save_once(api: Api, job_id: str, kind: str, target: Path) -> Written:
    with api.result_file(job_id, kind) as coming, _replacing(target) as file:
        return Written(sum(file.write(chunk) for chunk in coming.chunks), coming.complete, coming.unknown)


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    if target.exists() and not target.is_file():  # a pipe or a device: there is nothing to replace
        with target.open("wb") as file:
            yield file
        return
    part = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
