"""Those around the processors, in place of ingest and status: they write jobs, and what follows from the results.

They know nothing but the committed records, as the real ones.
"""

import random
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from shared.contract.cloud_events import encode
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobAccepted,
    JobCancelRequested,
    JobFinished,
    JobOutcome,
    JobRetryRequested,
    RowAccepted,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowOutcome,
    RowUnprocessed,
    SendingPaused,
    SendingResumed,
)
from shared.contract.outcomes_digest import OutcomesDigest, Status
from shared.contract.topics import Topics
from shared.runtime.kafka.partitions import partition_of
from tests.simulation.kafka.cluster import Cluster
from tests.simulation.records import CommittedReader, OpenTransaction, cut_value, publish

MOST_ROUNDS = 3


@dataclass
class Job:
    """A job, and what is known of it."""

    job_id: str
    rows: dict[int, RowAccepted]
    topic: str
    rounds: int = 1
    finished: int = 0
    results: dict[tuple[int, int], RowOutcome] = field(default_factory=dict)
    #: Which rows each round has.
    members: dict[int, set[int]] = field(default_factory=dict)
    cancelled: int = 0

    @property
    def batch_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.batch_id for row in self.rows.values()))

    def last(self, row: int) -> RowOutcome:
        """The result of the row's highest round."""
        return max((result for (number, _), result in self.results.items() if number == row), key=lambda r: r.round)

    @property
    def round_is_done(self) -> bool:
        """Whether each row of the running round has its result."""
        return all((row, self.rounds) in self.results for row in self.members[self.rounds])


class Clerks:
    """Ingest and status of one simulation."""

    def __init__(
        self, cluster: Cluster, topics: Topics, chance: random.Random, cell_bytes: int = 0, refused: int = 2
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.accepted: list[RowAccepted] = []
        self.undecodable: list[tuple[str, int, int]] = []
        self.results: list[RowOutcome] = []
        self.job_events: list[Event] = []
        self._cluster = cluster
        self._topics = topics
        self._chance = chance
        self._new_results = CommittedReader(cluster, topics.results)
        self._new_job_events = CommittedReader(cluster, topics.jobs)
        self._asked = 0
        self._more_cells = ("x" * cell_bytes,) if cell_bytes else ()
        #: Of a hundred rows so many are of that kind.
        self.kinds = {"Hospital": 95 - refused, "Refused": refused, "Breaks": 3, "Unreadable": 2}

    # ---- ingest ------------------------------------------------------------------------------------------------------

    def submit(self, rows: int, *, express: bool, batches: int) -> Job:
        """A job, with all its rows in one transaction."""
        job = self._make_job(rows, express=express, batches=batches)
        self._write_job(job).end(commit=True)
        return job

    def submit_slowly(self, rows: int, *, express: bool, batches: int) -> OpenTransaction:
        """The same, but its transaction stays open: it hides what comes behind it."""
        return self._write_job(self._make_job(rows, express=express, batches=batches))

    def submit_in_vain(self, rows: int) -> None:
        """A job whose transaction is aborted: its records take offsets and are never delivered."""
        topic = self._chance.choice(self._topics.rows)
        transaction = OpenTransaction(self._cluster)
        events = [self._row("vain", number, "vain", "Vain") for number in range(2, rows + 2)]
        transaction.write([(topic, event) for event in events])
        transaction.end(commit=False)

    def _make_job(self, rows: int, *, express: bool, batches: int) -> Job:
        job_id = f"job-{len(self.jobs) + 1}"
        made = {}
        for number in range(2, rows + 2):
            kind = self._chance.choices(list(self.kinds), list(self.kinds.values()))[0]
            made[number] = self._row(job_id, number, f"{job_id}-batch-{number % batches}", kind)
        job = Job(job_id, made, self._topics.rows_express if express else self._topics.rows_bulk)
        job.members[1] = set(made)
        return job

    def _row(self, job_id: str, number: int, batch_id: str, kind: str) -> RowAccepted:
        name, address = f"{kind} {number} of {job_id}", f"{number} Main St"
        # Some as version 0.1.0 wrote them.
        cells: dict[str, Any] = {"cells": (name, address, *self._more_cells)}
        if number % 5 == 0:
            cells = {"columns": {"name": name, "address": address}}
        return RowAccepted(
            tenant="public", job_id=job_id, batch_id=batch_id, row=number, name=name, address=address, phone="555-0101",
            **cells,
        )  # fmt: skip

    def _write_job(self, job: Job) -> OpenTransaction:
        self.jobs[job.job_id] = job
        self.accepted += [row for row in job.rows.values() if not row.name.startswith("Unreadable")]
        transaction = OpenTransaction(self._cluster)
        readable = [row for row in job.rows.values() if not row.name.startswith("Unreadable")]
        transaction.write([(job.topic, row) for row in readable])
        for row in job.rows.values():
            if row not in readable:
                self._write_unreadable(transaction, job.topic, row)
        accepted = JobAccepted(
            tenant="public", job_id=job.job_id, file_name="h.csv", file_sha256="0" * 64,
            total_hospitals=len(job.rows), batch_ids=job.batch_ids, columns=("name", "address"),
            express=job.topic == self._topics.rows_express,
        )  # fmt: skip
        transaction.write([(self._topics.jobs, accepted)])
        return transaction

    def _write_unreadable(self, transaction: OpenTransaction, topic: str, row: RowAccepted) -> None:
        """A record that nobody can decode. Its key names the row."""
        record = encode(row, "simulation")
        where = TopicPartition(topic, partition_of(record.key, len(self._cluster.topics[topic])))
        transaction.write_raw(where, [(record.key, cut_value(record.value), record.headers)])
        self.undecodable.append((row.job_id, row.row, row.round))

    # ---- status ------------------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Reads what is new and does what follows. Returns whether everything has ended."""
        for result in self._new_results.read():
            if isinstance(result, RowCreated | RowFailed | RowUnprocessed):
                self.results.append(result)
                self.jobs[result.job_id].results.setdefault((result.row, result.round), result)
        self.job_events += self._new_job_events.read()
        written = False
        for job in self.jobs.values():
            if job.finished < job.rounds and job.round_is_done:
                written = True
                self._finish(job)
                if self._should_retry(job):
                    self._retry(job)
        ended = all(job.finished == job.rounds for job in self.jobs.values())
        return ended and not written and not self.unanswered()

    def unanswered(self) -> set[tuple[str, str]]:
        """Requests for activation without an answer: batch and request."""
        asked: set[tuple[str, str]] = set()
        answered: set[tuple[str, str]] = set()
        for event in self.job_events:
            match event:
                case JobFinished(outcome=JobOutcome.ALL_CREATED):
                    asked.update((batch, f"finished:{event.round}") for batch in event.batch_ids)
                case BatchActivationRequested():
                    asked.add((event.batch_id, event.request_id))
                case BatchActivated() | BatchActivationFailed():
                    answered.add((event.batch_id, event.request_id))
        return asked - answered

    def _finish(self, job: Job) -> None:
        digest, counts = OutcomesDigest(), {"created": 0, "failed": 0, "unprocessed": 0}
        for number in sorted(job.rows):
            result = job.last(number)
            status: Status = (
                "created" if isinstance(result, RowCreated)
                else "failed" if isinstance(result, RowFailed) else "unprocessed"
            )  # fmt: skip
            counts[status] += 1
            digest.add(number, status, result.hospital_id if isinstance(result, RowCreated) else None)
        outcome = JobOutcome.SOME_FAILED if counts["created"] else JobOutcome.NONE_CREATED
        if counts["created"] == len(job.rows):
            outcome = JobOutcome.ALL_CREATED
        elif job.cancelled >= job.rounds:
            outcome = JobOutcome.CANCELLED
        finished = JobFinished(
            tenant="public", job_id=job.job_id, round=job.rounds, outcome=outcome, total_hospitals=len(job.rows),
            created_hospitals=counts["created"], failed_hospitals=counts["failed"],
            unprocessed_hospitals=counts["unprocessed"], batch_ids=job.batch_ids, outcomes_sha256=digest.hexdigest(),
        )  # fmt: skip
        job.finished = job.rounds
        publish(self._cluster, [(self._topics.jobs, finished)])

    def _should_retry(self, job: Job) -> bool:
        again = any(_runs_again(job.last(row)) for row in job.rows)
        return again and job.rounds < MOST_ROUNDS and self._chance.random() < 0.6

    def _retry(self, job: Job) -> None:
        job.rounds += 1
        again = {}
        for number, row in job.rows.items():
            result = job.last(number)
            if _runs_again(result):
                refused = not isinstance(result, RowFailed) or result.code is RowErrorCode.REJECTED
                again[number] = row.model_copy(update={"round": job.rounds, "may_exist": not refused})
        job.members[job.rounds] = set(again)
        self.accepted += again.values()
        asked = JobRetryRequested(tenant="public", job_id=job.job_id, round=job.rounds)
        publish(self._cluster, [(self._topics.jobs, asked), *((job.topic, row) for row in again.values())])

    # ---- people ------------------------------------------------------------------------------------------------------

    def cancel(self) -> str:
        """Somebody cancels a job that runs. Returns which, or nothing."""
        running = [job for job in self.jobs.values() if job.finished < job.rounds and job.cancelled < job.rounds]
        if not running:
            return ""
        job = self._chance.choice(running)
        job.cancelled = job.rounds
        publish(
            self._cluster,
            [(self._topics.jobs, JobCancelRequested(tenant="public", job_id=job.job_id, round=job.rounds))],
        )
        return job.job_id

    def ask_for_activation(self) -> None:
        """Somebody asks for the activation of a batch by hand."""
        finished = [job for job in self.jobs.values() if job.finished]
        if finished:
            self._asked += 1
            job = self._chance.choice(finished)
            asked = BatchActivationRequested(
                tenant="public", job_id=job.job_id, batch_id=self._chance.choice(job.batch_ids),
                request_id=f"by-hand-{self._asked}",
            )  # fmt: skip
            publish(self._cluster, [(self._topics.jobs, asked)])

    def pause(self, *, paused: bool) -> None:
        """An operator pauses or resumes all sending."""
        self._asked += 1
        kind = SendingPaused if paused else SendingResumed
        publish(self._cluster, [(self._topics.jobs, kind(request_id=f"{self._asked}"))])


def _runs_again(result: RowOutcome) -> bool:
    """Whether a retry takes the row. What nobody can read is not written once more."""
    unreadable = isinstance(result, RowFailed) and result.code is RowErrorCode.UNDECODABLE
    return not isinstance(result, RowCreated) and not unreadable
