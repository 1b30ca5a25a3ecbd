"""Downloads a result file. On disk it gets its name only when it is complete."""

import sys
from dataclasses import dataclass
from pathlib import Path

from client.api import Api
from client.errors import NoAnswer, TryAgain
from client.files.output_file import written_whole


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """What was written. `complete`: the job cannot change it any more. `unknown`: rows that may exist already."""

    bytes: int
    complete: bool
    unknown: int


def save(api: Api, job_id: str, name: str, target: Path, replace: bool) -> WrittenResult:
    """Writes the file. `replace`: an older one, when the new one is complete.

    Raises FileExists, OSError, or what `api` raises.
    """
    return api.retry_policy.call_idempotent(lambda: _save_once(api, job_id, name, target, replace), api.on_retry)


def write_to_stdout(api: Api, job_id: str, name: str) -> WrittenResult:
    """Writes the file to standard output, without a second try. Raises NoAnswer when it breaks off after some bytes."""
    written = 0
    try:
        with api.result_file(job_id, name) as download:
            for chunk in download.chunks:
                written += sys.stdout.buffer.write(chunk)
    except TryAgain as error:
        if not written:
            raise
        raise NoAnswer(f"The file is not complete: it broke off after {written:,} bytes. {error}") from error
    sys.stdout.buffer.flush()
    return WrittenResult(written, download.complete, download.unknown)


def _save_once(api: Api, job_id: str, name: str, target: Path, replace: bool) -> WrittenResult:
    with api.result_file(job_id, name) as download, written_whole(target, replace) as file:
        return WrittenResult(sum(file.write(chunk) for chunk in download.chunks), download.complete, download.unknown)
