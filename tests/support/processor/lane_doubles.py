"""Rows, and fakes for the parts that a test leaves out."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

from aiokafka import ConsumerRecord, TopicPartition

from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.row import Attempts, DeliveredRow, Row, State
from services.processor.lane.takeover import Takeover
from services.processor.lane.transitions import Finished, LookUp, Next, Retry
from services.processor.memory.budget import MemoryBudget
from services.processor.offsets.watermark import Watermark
from services.processor.offsets.window import Place
from services.processor.settings import ProcessorSettings
from shared.contract.cloud_events import decode, encode
from shared.contract.events import Event, RowAccepted, RowOutcome
from shared.runtime.kafka.fenced_transactions import OutgoingRecord


def accepted(row: int = 2, *, job_id: str = "job", **changes: object) -> RowAccepted:
    """The event of a row."""
    facts = {
        "tenant": "public",
        "job_id": job_id,
        "batch_id": "batch",
        "row": row,
        "name": f"St. Mary {row}",
        "address": f"{row} Main St",
        "phone": "555-0101",
        "cells": (f"St. Mary {row}", f"{row} Main St", "555-0101"),
    }
    return RowAccepted(**{**facts, **changes})


class FakeLane:
    """Remembers what follows for its rows: results, waits of retries, and look-ups with their earliest time."""

    def __init__(self) -> None:
        self.ended = False
        self.results: list[RowOutcome] = []
        self.waits: list[tuple[Row, float]] = []
        self.doubts: list[tuple[Row, float]] = []

    def may_send(self, now: float) -> bool:
        return not self.ended

    def apply(self, row: Row, attempts: Attempts, following: Next) -> None:
        row.attempts = attempts
        match following:
            case Finished(result):
                row.state = State.DONE
                self.results.append(result)
            case Retry(delay):
                row.state = State.READY
                self.waits.append((row, delay))
            case LookUp(not_before):
                row.state = State.IN_DOUBT
                self.doubts.append((row, not_before))


def make_row(
    event: RowAccepted | None = None, *, topic: str = "rows", state: State = State.READY, **attempts: object
) -> Row:
    """A row for which that has been tried."""
    event = event or accepted()
    delivered = DeliveredRow(event, topic, Place(event.row, event.row), 0.0)
    return Row(delivered, Attempts(**attempts), state)  # type: ignore[arg-type]


def record(
    event: Event | None,
    offset: int,
    topic: str = "hospital.rows.express",
    *,
    headers: tuple[tuple[str, bytes], ...] = (),
    key: bytes | None = None,
    value: bytes | None = None,
) -> ConsumerRecord:
    """A delivered record: of an event, or of any bytes."""
    if event is not None:
        made = encode(event, "test")
        key, value, headers = made.key, made.value, (*made.headers, *headers)
    return ConsumerRecord(topic, 0, offset, 0, 0, key, value, None, 0, 0, headers)


class Clock:
    """A clock that only the test moves: call it for the time in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Commit = tuple[list[OutgoingRecord], dict[str, Watermark]]


@dataclass
class FakeTransactions:
    """Keeps what is committed. A commit waits for `broker_answer`, if it is set, and ends as it does.

    `offered` is the last commit that has begun, whether it succeeds or not.
    """

    commits: list[Commit] = field(default_factory=list)
    broker_answer: asyncio.Future[None] | None = None
    offered: Commit | None = None
    closed: bool = False

    async def commit(self, records: list[OutgoingRecord], marks: dict[str, Watermark]) -> None:
        self.offered = records, marks
        if self.broker_answer is not None:
            await self.broker_answer
        self.commits.append((records, marks))

    async def close(self) -> None:
        self.closed = True

    @property
    def marks(self) -> dict[str, Watermark]:
        """The last commit's watermarks by topic."""
        return self.commits[-1][1]

    @property
    def events(self) -> list[Event]:
        """Every result committed so far."""
        return [decode(headers, value) for records, _ in self.commits for _, _, value, headers in records]


class FakeConsumer:
    """Remembers where it was told to seek."""

    def __init__(self) -> None:
        self.sought: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(topic, 0) for topic in beginning()}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[partition] = offset


LANE_SETTINGS = {"hospital_api_timeout": 2.0, "hospital_api_settle_seconds": 3.0, "lease_seconds": 4.0}


def lane_settings(**changes: object) -> ProcessorSettings:
    """Short times that are easy to add up: a call 2 s, the settle time 3 s, a lease 4 s."""
    return ProcessorSettings(
        **{**LANE_SETTINGS, "rate_limit_requests": 0, "hospital_api_max_connections": 2, **changes}
    )


def make_lane(
    watermarks: dict[str, Watermark],
    settings: ProcessorSettings | None = None,
    *,
    job_commands: JobCommands | None = None,
    on_doubt: Callable[[Row, float], None] = lambda _row, _at: None,
    notify: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    clean: bool = True,
    unowned: bool = False,
    memory: MemoryBudget | None = None,
) -> tuple[Lane, FakeTransactions]:
    """A lane that was taken over with these watermarks, and the transactions that it commits with."""
    job_commands = job_commands or JobCommands(lambda _job: None, lambda: None)
    transactions = FakeTransactions()
    lane = Lane(
        settings or lane_settings(),
        0,
        FakeConsumer(),
        Takeover(transactions, {**beginning(), **watermarks}, clean=clean, unowned=unowned),  # type: ignore[arg-type]
        job_commands,
        notify,
        lambda _lane, row, at: on_doubt(row, at),
        (memory or MemoryBudget(10**9)).lane(),
        clock,
        clock,
    )
    return lane, transactions


def finish(lane: Lane, row: Row, result: RowOutcome) -> None:
    """The row's call or look-up has ended with its result."""
    lane.apply(row, row.attempts, Finished(result))


def retry(lane: Lane, row: Row, delay: float) -> None:
    """The row is certainly not in the directory."""
    lane.apply(row, row.attempts, Retry(delay))


def put_in_doubt(lane: Lane, row: Row, not_before: float) -> None:
    """The row may be in the directory."""
    lane.apply(row, row.attempts, LookUp(not_before))


def admit(lane: Lane, *events: Event, topic: str = "hospital.rows.express", start: int = 0) -> None:
    """Delivers events to a lane, at the offsets from `start` on."""
    lane.admit(topic, [record(event, start + n, topic) for n, event in enumerate(events)], start + len(events))


def beginning(offset: int = 0) -> dict[str, Watermark]:
    """Watermarks of topics from which everything before the offset is done."""
    mark = Watermark(offset, offset)
    return {"hospital.rows.express": mark, "hospital.rows.bulk": mark, "hospital.jobs": mark}


def nothing() -> SimpleNamespace:
    """Something without anything in it."""
    return SimpleNamespace()
