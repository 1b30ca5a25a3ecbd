"""Histories of jobs as events, and what the tables hold of them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import compress, count

from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.status.model.timestamps import micros
from services.status.projection.event_batch import EventBatch, PositionedEvent
from services.status.projection.transaction import project
from services.status.tables import stored_offsets
from services.status.tables.definitions import metadata
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobAccepted,
    JobCancelRequested,
    JobEvent,
    JobFinished,
    JobOutcome,
    JobRetryRequested,
    ProcessorReported,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowResolved,
    RowResult,
    RowUnprocessed,
)
from shared.contract.row_set import encode_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
#: Lease + time-out + settle time.
SETTLING_SECONDS = 50.0


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


class JobHistory:
    """One job's events, made with one call each. Rows are numbered as a spreadsheet does: from 2."""

    def __init__(self, total: int = 3, batches: int = 1, job_id: str = "job-1", tenant: str = "north") -> None:
        self.total = total
        self.about = {"tenant": tenant, "job_id": job_id}
        self.batch_ids = tuple(f"{job_id}-batch-{number}" for number in range(batches))

    def accepted(self, seconds: float = 0, **more: object) -> JobAccepted:
        known = {
            "occurred_at": at(seconds),
            "file_name": "hospitals.csv",
            "file_sha256": "0" * 64,
            "total_hospitals": self.total,
            "batch_ids": self.batch_ids,
            "columns": ("name", "address", "Beds"),
        }
        return JobAccepted(**self.about | known | more)

    def corrects(self, other: "JobHistory", rows: Iterable[int] | None = None, seconds: float = 10) -> JobAccepted:
        """Its acceptance as a correction of another job; `rows`: of that one, None when the file does not say."""
        named = "" if rows is None else encode_rows(rows)
        return self.accepted(seconds, corrects=other.about["job_id"], corrected_rows=named)

    def created(self, row: int, round_: int = 1, seconds: float = 2, **more: object) -> RowCreated:
        return RowCreated(**self._row(row, round_, seconds) | {"hospital_id": row * 10} | more)

    def failed(
        self, row: int, round_: int = 1, seconds: float = 2, code: RowErrorCode = RowErrorCode.REJECTED, **more: object
    ) -> RowFailed:
        said = {"code": code, "message": f"{code} in round {round_}"}
        return RowFailed(**self._row(row, round_, seconds) | said | more)

    def unprocessed(self, row: int, round_: int = 1, seconds: float = 2) -> RowUnprocessed:
        return RowUnprocessed(**self._row(row, round_, seconds), message="The job was cancelled.")

    def resolved(self, row: int, hospital_id: int | None, round_: int = 1, seconds: float = 5) -> RowResolved:
        return RowResolved(
            **self.about,
            row=row,
            round=round_,
            hospital_id=hospital_id,
            resolved_by="ann",
            occurred_at=at(seconds),
        )

    def retried(self, round_: int, seconds: float = 6) -> JobRetryRequested:
        return JobRetryRequested(**self.about, round=round_, occurred_at=at(seconds))

    def cancelled(self, round_: int = 1, seconds: float = 1) -> JobCancelRequested:
        return JobCancelRequested(
            **self.about, round=round_, occurred_at=at(seconds), settles_at=at(seconds + SETTLING_SECONDS)
        )

    def activation_requested(
        self, batch: int = 0, request_id: str = "corrected:1", seconds: float = 5
    ) -> BatchActivationRequested:
        return BatchActivationRequested(
            **self.about, batch_id=self.batch_ids[batch], request_id=request_id, occurred_at=at(seconds)
        )

    def finished(self, outcome: JobOutcome, round_: int = 1, seconds: float = 4) -> JobFinished:
        return JobFinished(
            **self.about,
            occurred_at=at(seconds),
            round=round_,
            outcome=outcome,
            total_hospitals=self.total,
            created_hospitals=0,
            failed_hospitals=0,
            unprocessed_hospitals=0,
            batch_ids=self.batch_ids,
        )

    def activated(self, batch: int = 0, request_id: str = "finished:1", seconds: float = 5) -> BatchActivated:
        return BatchActivated(
            **self.about,
            batch_id=self.batch_ids[batch],
            request_id=request_id,
            message="Batch activated",
            occurred_at=at(seconds),
        )

    def refused(self, batch: int = 0, request_id: str = "finished:1", seconds: float = 5) -> BatchActivationFailed:
        return BatchActivationFailed(
            **self.about,
            batch_id=self.batch_ids[batch],
            request_id=request_id,
            message="Maintenance",
            http_status=503,
            occurred_at=at(seconds),
        )

    def _row(self, row: int, round_: int, seconds: float) -> dict[str, object]:
        return self.about | {
            "batch_id": self.batch_ids[row % len(self.batch_ids)],
            "row": row,
            "round": round_,
            "name": f"Hospital {row}",
            "cells": (f"Hospital {row}", "1 Long Street", "12"),
            "address": "1 Long Street",
            "attempts": 1,
            "started_at": at(seconds - 1),
            "occurred_at": at(seconds),
        }


def report(instance: str = "p-1", seconds: float = 0, **more: object) -> ProcessorReported:
    """A processor's report, of one that is well unless said otherwise."""
    return ProcessorReported(instance=instance, occurred_at=at(seconds), **({"breaker": "closed"} | more))


def in_topic_order(events: list[Event]) -> list[Event]:
    """The same mixture of topics, in which what stands in hospital.jobs comes in the order in which it happened."""
    of_job = [isinstance(event, JobEvent) and not isinstance(event, RowResult) for event in events]
    ordered = iter(sorted(compress(events, of_job), key=lambda event: event.occurred_at))
    return [next(ordered) if is_of_job else event for event, is_of_job in zip(events, of_job, strict=True)]


def event_batch(*events: Event) -> EventBatch:
    """The events as a batch of records would bring them; jobs are in partition 0."""
    return EventBatch(
        results=[event for event in events if isinstance(event, RowResult)],
        job_events=[
            PositionedEvent(0, micros(event.occurred_at), event)  # in the order in which they happened
            for event in events
            if isinstance(event, JobEvent) and not isinstance(event, RowResult)
        ],
        reports=[event for event in events if isinstance(event, ProcessorReported)],
    )


async def apply_events(engine: AsyncEngine, *events: Event) -> None:
    """Projects the events, in one transaction."""
    await project(engine, [], event_batch(*events))


async def contents(engine: AsyncEngine) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the tables, sorted."""
    async with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table is not stored_offsets.offsets
        }


async def emptied(engine: AsyncEngine) -> None:
    """Throws everything away."""
    async with engine.begin() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(table.delete())


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """All that happens to one job of a few rows in up to three rounds, in an order in which it could happen."""
    job = JobHistory(total=draw(st.integers(1, 4)), batches=draw(st.integers(1, 2)))
    moments = count(1)
    open_rows = list(range(2, job.total + 2))
    events: list[Event] = [job.accepted(next(moments))]
    for round_ in range(1, draw(st.integers(1, 3)) + 1):
        if round_ > 1:
            events.append(job.retried(round_, next(moments)))
        if draw(st.booleans()):
            events.append(job.cancelled(round_, next(moments)))
        still_open = []
        for row in draw(st.permutations(open_rows)):
            kind = draw(st.sampled_from(["created", "failed", "unknown", "resolved", "unprocessed", "missing"]))
            seconds = next(moments)
            match kind:
                case "created":
                    events.append(job.created(row, round_, seconds))
                case "failed":
                    events.append(job.failed(row, round_, seconds))
                case "unprocessed":
                    events.append(job.unprocessed(row, round_, seconds))
                case "unknown" | "resolved":
                    events.append(job.failed(row, round_, seconds, RowErrorCode.OUTCOME_UNKNOWN))
            if kind == "resolved":
                events.append(job.resolved(row, draw(st.sampled_from([7, None])), round_, next(moments)))
            if kind not in ("created", "resolved"):
                still_open.append(row)
        events.append(job.finished(draw(st.sampled_from(JobOutcome)), round_, next(moments)))
        for batch in range(len(job.batch_ids)):
            answer = draw(st.sampled_from([job.activated, job.refused, None]))
            if answer:
                events.append(answer(batch, f"finished:{round_}", next(moments)))
        open_rows = still_open
    return [*events, report(seconds=next(moments)), report("p-2", seconds=next(moments))]
