"""Those whose events status reads: ingest writes jobs, a processor the results, and people ask for retries."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from shared.contract.events import (
    JobAccepted,
    JobFinished,
    JobRetryRequested,
    RowAccepted,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowOutcome,
)
from shared.contract.topics import Topics
from tests.simulation.kafka.cluster import Cluster
from tests.simulation.records import CommittedReader, OpenTransaction, publish

MOST_ROUNDS = 3


@dataclass
class Others:
    """Everything around status, in one place."""

    cluster: Cluster
    topics: Topics
    chance: random.Random
    #: The time in UTC.
    clock: Callable[[], datetime]
    accepted: list[RowAccepted] = field(default_factory=list)
    results: list[RowOutcome] = field(default_factory=list)
    jobs: dict[str, JobAccepted] = field(default_factory=dict)
    finished: list[JobFinished] = field(default_factory=list)
    retries: list[JobRetryRequested] = field(default_factory=list)
    _unsent: list[RowAccepted] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    def __post_init__(self) -> None:
        self._new_rows = [CommittedReader(self.cluster, topic) for topic in self.topics.rows]
        self._new_job_events = CommittedReader(self.cluster, self.topics.jobs)

    def submit(self) -> None:
        """A job with all its rows, in one transaction."""
        job_id, rows = f"job-{len(self.jobs) + 1}", self.chance.choice((1, 4, 20))
        express = self.chance.random() < 0.5
        events = [
            RowAccepted(
                tenant="public", job_id=job_id, batch_id=f"{job_id}-batch", row=number, name=f"Hospital {number}",
                address=f"{number} Main St", phone=None, cells=(f"Hospital {number}", f"{number} Main St"),
                occurred_at=self.clock(),
            )
            for number in range(2, rows + 2)
        ]  # fmt: skip
        self.jobs[job_id] = accepted = JobAccepted(
            tenant="public", job_id=job_id, file_name="h.csv", file_sha256="0" * 64, total_hospitals=rows,
            batch_ids=(f"{job_id}-batch",), columns=("name", "address"), express=express,
            occurred_at=self.clock(),
        )  # fmt: skip
        topic = self.topics.rows_express if express else self.topics.rows_bulk
        publish(self.cluster, [*((topic, row) for row in events), (self.topics.jobs, accepted)])

    def work(self) -> None:
        """The processor: results of some of the rows that were delivered, in a transaction or an aborted one."""
        for reader in self._new_rows:
            for row in reader.read():
                if isinstance(row, RowAccepted):
                    self.accepted.append(row)
                    self._unsent.append(row)
        some, self._unsent = self._unsent[: self.chance.choice((1, 3, 10))], self._unsent
        if not some:
            return
        transaction = OpenTransaction(self.cluster)
        commit = self.chance.random() < 0.9
        results = [self._result(row) for row in some]
        transaction.write([(self.topics.results, result) for result in results])
        transaction.end(commit=commit)
        if commit:
            self._unsent = self._unsent[len(some) :]
            self.results += results

    def _result(self, row: RowAccepted) -> RowOutcome:
        common = {
            "tenant": row.tenant, "job_id": row.job_id, "batch_id": row.batch_id, "row": row.row, "round": row.round,
            "name": row.name, "address": row.address, "phone": row.phone, "cells": row.cells, "attempts": 1,
            "started_at": self.clock(), "occurred_at": self.clock(),
        }  # fmt: skip
        if self.chance.random() < 0.7:
            return RowCreated(**common, hospital_id=next(self._ids))
        return RowFailed(**common, code=RowErrorCode.REJECTED, message="refused")

    def ask(self) -> None:
        """People who see that a job has finished with failures retry it, some of them twice."""
        for event in self._new_job_events.read():
            if isinstance(event, JobFinished):
                self.finished.append(event)
                if event.failed_hospitals and event.round < MOST_ROUNDS and self.chance.random() < 0.7:
                    asked = JobRetryRequested(
                        tenant="public", job_id=event.job_id, round=event.round + 1, occurred_at=self.clock()
                    )
                    for _ in range(self.chance.choice((1, 1, 2))):
                        self.retries.append(asked)
                        publish(self.cluster, [(self.topics.jobs, asked)])

    @property
    def ended(self) -> bool:
        """Whether every job's last round, as far as anybody asked, has its JobFinished."""
        done = {(event.job_id, event.round) for event in self.finished}
        wanted = {(job_id, 1) for job_id in self.jobs} | {(retry.job_id, retry.round) for retry in self.retries}
        return wanted <= done and not self._unsent
