"""A job's state: the facts that events have told, and what follows from them. Pure: no database, no clock.

                 JobAccepted
                      │
                   pending
                      │  the first result
                      v        every row has a result, and JobFinished was read back
       ┌────────> processing ──┬──────────────────────────────────────────────────────> failed      none created
       │            │   ^      ├──────────────────────────────────────────────────────> cancelled   some not sent
       │            │   │      ├──────────────────────────────────────────────────────> completed   some failed
       │     cancel │   │      └── all created: JobFinished, activation answered ─────> completed
       │            v   │                                                                │  │
       │        (being cancelled: rows that were not sent become unprocessed; `cancelled`│  │
       │         when every row has a result, or lease + time-out + settle time later)   │  │
       │                                                                                 │  │
       ├──── retry: failed and unprocessed rows run again, in the next round ────────────┘  │
       └──── the last failure settled by hand: JobFinished once more, then the activation ──┘

Events about a job are in one partition, and are read in its order, some of them more than once. Results come in any
order. The same facts give the same state.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from services.status.model.row_results import UNKNOWN, RowStatus
from services.status.model.timestamps import Micros, micros
from shared.contract.events import JobAccepted, JobCancelRequested, JobEvent, JobFinished, JobOutcome, JobRetryRequested


class JobStatus(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What events have said of a job. What JobAccepted says is None until it has been read."""

    job_id: str
    partition: int | None = None
    tenant: str | None = None
    file_name: str | None = None
    #: What a search compares with: case-folded.
    searched: str | None = None
    file_sha256: str | None = None
    total_hospitals: int | None = None
    batches: int | None = None
    columns: str | None = None
    delimiter: str | None = None
    express: bool | None = None
    created_at: Micros | None = None
    started_at: Micros | None = None
    requested_round: int = 1
    #: Where in the job's partition that round was first requested: a later request for it is the same one again.
    requested_offset: int | None = None
    cancelled_round: int = 0
    cancel_requested_at: Micros | None = None
    #: When rows that have no result by then count as unprocessed.
    cancel_settles_at: Micros | None = None
    finished_round: int = 0
    finished_outcome: str | None = None
    finished_at: Micros | None = None
    batches_activated: int = 0
    batches_refused: int = 0
    answered_at: Micros | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class DerivedState:
    """What follows from the facts and the counts."""

    round: int
    created_hospitals: int
    failed_hospitals: int
    unprocessed_hospitals: int
    unknown_hospitals: int
    status: str
    outcome: str | None
    activated: bool
    completed_at: Micros | None
    due_round: int | None


def apply_event(facts: JobFacts, event: JobEvent, offset: int) -> JobFacts:
    """The facts after an event about the whole job; other events change nothing. `offset`: the event's."""
    match event:
        case JobAccepted():
            return _accepted(facts, event)
        case JobRetryRequested():
            return _requested(facts, event.round, offset)
        case JobCancelRequested():
            return _cancelled(facts, event)
        case JobFinished():
            return _finished(facts, event)
        case _:
            return facts


def _accepted(facts: JobFacts, event: JobAccepted) -> JobFacts:
    return replace(
        facts,
        tenant=event.tenant,
        file_name=event.file_name,
        searched=searched(f"{event.file_name} {event.job_id}"),
        file_sha256=event.file_sha256,
        total_hospitals=event.total_hospitals,
        batches=len(event.batch_ids),
        columns=json.dumps(event.columns, ensure_ascii=False),
        delimiter=event.delimiter,
        express=event.express,
        created_at=micros(event.occurred_at),
    )


def searched(text: str) -> str:
    """A text as searches compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _requested(facts: JobFacts, round_: int, offset: int) -> JobFacts:
    """A retry counts when it asks for the round after the last finished one.

    Any other request is ignored by everybody, so the job must not wait for its rows.
    """
    if round_ != facts.finished_round + 1:
        return facts
    known = facts.requested_offset if round_ == facts.requested_round else None
    return replace(facts, requested_round=round_, requested_offset=offset if known is None else min(known, offset))


def _cancelled(facts: JobFacts, event: JobCancelRequested) -> JobFacts:
    if not _newer(event.round, event, facts.cancelled_round, facts.cancel_requested_at):
        return facts
    return replace(
        facts,
        cancelled_round=event.round,
        cancel_requested_at=micros(event.occurred_at),
        cancel_settles_at=micros(event.settles_at) if event.settles_at else None,
    )


def _finished(facts: JobFacts, event: JobFinished) -> JobFacts:
    if not _newer(event.round, event, facts.finished_round, facts.finished_at):
        return facts
    return replace(
        facts,
        finished_round=event.round,
        finished_outcome=event.outcome.value,
        finished_at=micros(event.occurred_at),
    )


def _newer(round_: int, event: JobEvent, known_round: int, known_at: Micros | None) -> bool:
    """Whether the event is of a higher round; or, after a crash, the same one again and written earlier."""
    if round_ != known_round or known_at is None:
        return round_ > known_round
    return micros(event.occurred_at) < known_at


def derive_state(facts: JobFacts, tallies: Mapping[tuple[int, str], int]) -> DerivedState:
    """What follows. `tallies`: how many rows have which status, by (round, status).

    A job may have ended with failures, all of which people then resolved as created. It is finished once more, in a
    round without rows, so that everybody hears of it and its batches are activated.
    """
    round_ = max([facts.requested_round, facts.finished_round, *_rounds(tallies)])
    created = sum(count for (_, status), count in tallies.items() if status == RowStatus.CREATED)
    failed = _of_round(tallies, round_, RowStatus.FAILED)
    unprocessed = _of_round(tallies, round_, RowStatus.UNPROCESSED)
    total = facts.total_hospitals
    complete = total is not None and created + failed + unprocessed >= total
    finished = complete and facts.finished_round == round_
    by_hand = finished and created == total and facts.finished_outcome != JobOutcome.ALL_CREATED.value
    outcome = outcome_of(created, unprocessed, total or 0) if finished else None
    activated = bool(facts.batches) and facts.batches_activated == facts.batches
    final = finished and not by_hand and _activation_settled(facts)
    return DerivedState(
        round=round_,
        created_hospitals=created,
        failed_hospitals=failed,
        unprocessed_hospitals=unprocessed,
        unknown_hospitals=_of_round(tallies, round_, UNKNOWN),
        status=_status(outcome if final else None, begun=round_ > 1 or any(tallies.values())),
        outcome=outcome.value if outcome else None,
        activated=activated,
        completed_at=_completed_at(facts) if final else None,
        due_round=round_ + by_hand if complete and (by_hand or not finished) else None,
    )


def _rounds(tallies: Mapping[tuple[int, str], int]) -> Iterable[int]:
    return (round_ for (round_, _), count in tallies.items() if count)


def _of_round(tallies: Mapping[tuple[int, str], int], round_: int, status: str) -> int:
    """Rows of earlier rounds run again: they have no result yet."""
    return tallies.get((round_, status), 0)


def outcome_of(created: int, unprocessed: int, total: int) -> JobOutcome:
    """How a round ended in which every row got a result."""
    if unprocessed:
        return JobOutcome.CANCELLED
    if created == 0:
        return JobOutcome.NONE_CREATED
    return JobOutcome.ALL_CREATED if created >= total else JobOutcome.SOME_FAILED


def _activation_settled(facts: JobFacts) -> bool:
    """Activation follows a JobFinished that says all_created; every batch was answered."""
    if facts.finished_outcome != JobOutcome.ALL_CREATED.value:
        return True
    return facts.batches_activated + facts.batches_refused >= (facts.batches or 0)


def _completed_at(facts: JobFacts) -> Micros | None:
    moments = [facts.finished_at]
    if facts.finished_outcome == JobOutcome.ALL_CREATED.value:
        moments.append(facts.answered_at)
    return max((moment for moment in moments if moment is not None), default=None)


def _status(outcome: JobOutcome | None, *, begun: bool) -> str:
    match outcome:
        case None:
            return (JobStatus.PROCESSING if begun else JobStatus.PENDING).value
        case JobOutcome.NONE_CREATED:
            return JobStatus.FAILED.value
        case JobOutcome.CANCELLED:
            return JobStatus.CANCELLED.value
        case JobOutcome.ALL_CREATED | JobOutcome.SOME_FAILED:
            return JobStatus.COMPLETED.value
