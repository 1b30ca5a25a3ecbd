"""Whether uploads became jobs exactly once: from the answers, the committed records and the keys that are left.

For each key there is one whole job at most, whatever happened; exactly one if anybody was told so. All answers are the
same. Nothing is half there, and no key stays in progress.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.contract.events import JobAccepted, RowAccepted
from tests.simulation.uploads.clients import Client
from tests.support.history import Violation


@dataclass(frozen=True)
class UploadHistory:
    """What is known at the end. `in_progress`: jobs whose keys are not settled."""

    clients: Sequence[Client]
    jobs: Sequence[JobAccepted]
    rows: Sequence[RowAccepted]
    in_progress: Sequence[str]


def upload_violations(history: UploadHistory) -> list[Violation]:
    """The promises that the run broke."""
    return [
        *_of_jobs(history),
        *_of_keys(history),
        *(Violation("a key stays in progress", f"job {job_id}", ()) for job_id in history.in_progress),
    ]


def _of_jobs(history: UploadHistory) -> Iterator[Violation]:
    rows: dict[str, list[RowAccepted]] = defaultdict(list)
    for row in history.rows:
        rows[row.job_id].append(row)
    accepted: dict[str, list[JobAccepted]] = defaultdict(list)
    for job in history.jobs:
        accepted[job.job_id].append(job)
    for job_id in rows.keys() - accepted.keys():
        yield Violation("rows without a job", f"job {job_id}", (f"{len(rows[job_id])} rows",))
    for job_id, events in accepted.items():
        numbers = sorted(row.row for row in rows[job_id])
        expected = list(range(2, events[0].total_hospitals + 2))
        if len(events) > 1:
            yield Violation("a job was accepted more than once", f"job {job_id}", tuple(map(repr, events)))
        if numbers != expected:
            yield Violation("a job is not whole", f"job {job_id}", (f"rows {numbers}", f"not {expected}"))


def _of_keys(history: UploadHistory) -> Iterator[Violation]:
    by_key: dict[str, list[Client]] = defaultdict(list)
    for client in history.clients:
        by_key[client.key].append(client)
    for key, clients in by_key.items():
        files = {client.file.sha256 for client in clients}
        jobs = [job.job_id for job in history.jobs if job.file_sha256 in files]
        answers = [answer for client in clients for answer in client.answers]
        story = (f"jobs {jobs}", *(f"answer {answer}" for answer in answers))
        if len(jobs) > 1:
            yield Violation("more than one job of one key", key, story)
        if len({answer.body for answer in answers}) > 1:
            yield Violation("different answers for one key", key, story)
        for answer in answers:
            if answer.job_id not in jobs or answer.job_id.encode() not in answer.body:
                yield Violation("an answer names a job that is not there", key, story)
        for client in clients:
            if client.patient and not client.answers and not client.refused:
                yield Violation("a client got no answer", key, (f"asked {client.asked} times", *story))
            if client.broke:
                yield Violation("an upload broke", key, tuple(client.broke))
            if client.refused and len(files) == 1:
                yield Violation("a key is called reused, and is not", key, story)
