"""Downloads a result file. On disk it gets its name only when it is complete."""

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
class WrittenResult:
    """What was written. `complete`: the job cannot change it any more. `unknown`: rows that may exist already."""

    bytes: int
    complete: bool
    unknown: int


def save(api: Api, job_id: str, kind: str, target: Path) -> WrittenResult:
    """Writes the file; an older one stays until the new one is complete. Raises OSError, or what `api` raises."""
    return api.retry_policy.call_idempotent(lambda: _save_once(api, job_id, kind, target), api.on_retry)


def write_to_stdout(api: Api, job_id: str, kind: str) -> WrittenResult:
    """Writes the file to standard output, without a second try. Raises NoAnswer when it breaks off after some bytes."""
    written = 0
    try:
        with api.result_file(job_id, kind) as download:
            for chunk in download.chunks:
                written += sys.stdout.buffer.write(chunk)
    except TryAgain as error:
        if not written:
            raise
        raise NoAnswer(f"The file is not complete: it broke off after {written:,} bytes. {error}") from error
    sys.stdout.buffer.flush()
    return WrittenResult(written, download.complete, download.unknown)


def _save_once(api: Api, job_id: str, kind: str, target: Path) -> WrittenResult:
    with api.result_file(job_id, kind) as download, _replacing(target) as file:
        return WrittenResult(sum(file.write(chunk) for chunk in download.chunks), download.complete, download.unknown)


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
