"""A result file on its way to disk: it has its name only when it is whole."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from client.api import Api
from client.setbacks import NoAnswer, TryAgain


def save(api: Api, job_id: str, kind: str, target: Path) -> int:
    """Writes the file and returns its bytes. An older one stays until the new one is whole."""
    return api.patience.harmless(lambda: _save_once(api, job_id, kind, target), api.told)


def show(api: Api, job_id: str, kind: str) -> int:
    """Writes the file to standard output and returns its bytes. What was written cannot be taken back."""
    written = 0
    try:
        with api.result_file(job_id, kind) as chunks:
            for chunk in chunks:
                written += sys.stdout.buffer.write(chunk)
    except TryAgain as setback:
        if not written:
            raise
        raise NoAnswer(f"The file is not complete: it broke off after {written:,} bytes. {setback}") from setback
    sys.stdout.buffer.flush()
    return written


def _save_once(api: Api, job_id: str, kind: str, target: Path) -> int:
    with api.result_file(job_id, kind) as chunks, _replacing(target) as file:
        return sum(file.write(chunk) for chunk in chunks)


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
