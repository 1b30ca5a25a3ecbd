"""What has happened to a job: its rounds, who gave which command, how each round ended, and why its rows failed."""

import json
from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection, Row, select

from services.status.model.timestamps import moment, moment_or_none
from services.status.queries.corrections import open_rows
from services.status.queries.cursors import cursor
from services.status.queries.job_queries import JobRow
from services.status.tables.definitions import history, rounds
from shared.contract.events import (
    BatchActivationRequested,
    CancelReason,
    JobCancelRequested,
    JobFinished,
    JobOutcome,
    JobRetryRequested,
    RowResolved,
)


class HistoryKind(StrEnum):
    """What happened."""

    UPLOAD = "upload"
    CANCEL = "cancel"
    RETRY = "retry"
    RESOLVE = "resolve"
    ACTIVATE = "activate"
    FINISHED = "finished"


_KINDS = {
    JobCancelRequested.__name__: HistoryKind.CANCEL,
    JobRetryRequested.__name__: HistoryKind.RETRY,
    RowResolved.__name__: HistoryKind.RESOLVE,
    BatchActivationRequested.__name__: HistoryKind.ACTIVATE,
    JobFinished.__name__: HistoryKind.FINISHED,
}


class RoundAnswer(BaseModel):
    """A round, and what became of the job in it."""

    round: int
    started_at: Annotated[datetime | None, Field(description="When its first row was taken up; null: none ran")]
    finished_at: datetime | None
    outcome: JobOutcome | None = None
    created_hospitals: Annotated[int | None, Field(description="In this round and those before")] = None
    failed_hospitals: int | None = None
    unprocessed_hospitals: int | None = None


class HistoryEntry(BaseModel):
    """A command, or the end of a round. What does not belong to its kind is null."""

    at: datetime
    kind: HistoryKind
    round: int | None = None
    requested_by: Annotated[str | None, Field(description="The tenant whose key it was; null: the service itself")]
    reason: Annotated[CancelReason | None, Field(description="Of a cancel")] = None
    codes: Annotated[list[str] | None, Field(description="Which rows a retry chose; empty: all")] = None
    ignored: Annotated[bool, Field(description="The command came too late, and changed nothing")] = False
    row: int | None = None
    hospital_id: Annotated[int | str | None, Field(description="Whom a person found; null: absent")] = None
    batch_id: str | None = None
    outcome: JobOutcome | None = None


class JobHistoryAnswer(BaseModel):
    """The rounds of a job, and a page of its history in the order in which it happened."""

    job_id: str
    rounds: list[RoundAnswer]
    entries: list[HistoryEntry]
    next_cursor: Annotated[str | None, Field(description="Give it as `cursor` for the next page; null on the last")]


class FailureCount(BaseModel):
    """How many rows failed with a code, or were not sent."""

    code: Annotated[str, Field(description="As a retry chooses by it: an error code, or `unprocessed`")]
    hospitals: Annotated[int, Field(description="Those that are open: not in a correction")]


class FailureList(BaseModel):
    """Why rows of a job are open, the most frequent reason first. Rows that cannot run again are left out."""

    failures: list[FailureCount]


def job_history(connection: Connection, job: JobRow, first: int, limit: int) -> JobHistoryAnswer:
    """A page of the job's history, from an offset of its partition on."""
    wanted = select(history).where(history.c.job_id == job.job_id, history.c.position >= first)
    found = list(connection.execute(wanted.order_by(history.c.position, history.c.event_id).limit(limit + 1)))
    shown = found[:limit]
    following = cursor(found[limit].position) if len(found) > limit else None
    uploaded = HistoryEntry(at=moment(job.created_at), kind=HistoryKind.UPLOAD, requested_by=job.tenant)
    return JobHistoryAnswer(
        job_id=job.job_id,
        rounds=_rounds(connection, job.job_id),
        entries=[*([] if first else [uploaded]), *map(_entry, shown)],
        next_cursor=following,
    )


def failures(connection: Connection, job: JobRow) -> FailureList:
    """Why its open rows have no hospital."""
    counts = Counter(open_rows(connection, job.job_id, from_round=job.round))
    return FailureList(failures=[FailureCount(code=each, hospitals=count) for each, count in counts.most_common()])


def _rounds(connection: Connection, job_id: str) -> list[RoundAnswer]:
    ends = select(history).where(history.c.job_id == job_id, history.c.kind == JobFinished.__name__)
    finished = {record.round: record for record in connection.execute(ends)}
    timed = {record.round: record for record in connection.execute(select(rounds).where(rounds.c.job_id == job_id))}
    return [
        RoundAnswer(
            round=round_,
            started_at=moment_or_none(timed[round_].started_at) if round_ in timed else None,
            finished_at=moment_or_none(timed[round_].finished_at) if round_ in timed else None,
            **(json.loads(finished[round_].details) if round_ in finished else {}),
        )
        for round_ in sorted(finished.keys() | timed.keys())
    ]


def _entry(record: Row[Any]) -> HistoryEntry:
    details = json.loads(record.details)
    return HistoryEntry(
        at=moment(record.occurred_at),
        kind=_KINDS[record.kind],
        round=record.round,
        requested_by=record.requested_by or None,
        **{name: value for name, value in details.items() if name in HistoryEntry.model_fields},
    )
