"""A job's state: what follows from the facts about it and the counts of its rows. Pure: no database, no clock.

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

Results come in any order. The same facts and counts give the same state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.status.model.job_facts import JobFacts
from services.status.model.row_results import CARRIED_OVER, CORRECTED, UNKNOWN, RowStatus
from services.status.model.timestamps import Micros
from shared.contract.events import JobOutcome


class JobStatus(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class DerivedState:
    """What follows from the facts and the counts."""

    round: int
    created_hospitals: int
    failed_hospitals: int
    unprocessed_hospitals: int
    unknown_hospitals: int
    #: Of the failed and unprocessed, those that stand again in a correction.
    corrected_hospitals: int
    status: str
    outcome: str | None
    activated: bool
    completed_at: Micros | None
    due_round: int | None
    #: The command that the job needs from us, until it has been read back.
    due_command: str | None


class DueCommand(StrEnum):
    """Commands that no person gives."""

    STOP = "stop"  # more rows failed than JobAccepted.max_failures
    ACTIVATE = "activate"  # nothing of its chain of corrections is open any more


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
        corrected_hospitals=_corrected(tallies, round_),
        status=_status(outcome if final else None, begun=round_ > 1 or any(tallies.values())),
        outcome=outcome.value if outcome else None,
        activated=activated,
        completed_at=_completed_at(facts) if final else None,
        due_round=round_ + by_hand if complete and (by_hand or not finished) else None,
        due_command=None if complete or not _goes_wrong(facts, tallies, round_) else DueCommand.STOP.value,
    )


def _goes_wrong(facts: JobFacts, tallies: Mapping[tuple[int, str], int], round_: int) -> bool:
    """Whether more rows have failed in this round than the job may have, and nobody has stopped it."""
    if facts.max_failures is None or facts.total_hospitals is None or facts.cancelled_round >= round_:
        return False
    failed = _of_round(tallies, round_, RowStatus.FAILED) - _of_round(tallies, round_, CARRIED_OVER)
    return failed > facts.max_failures


def _rounds(tallies: Mapping[tuple[int, str], int]) -> Iterable[int]:
    return (round_ for (round_, _), count in tallies.items() if count)


def _of_round(tallies: Mapping[tuple[int, str], int], round_: int, status: str) -> int:
    """Rows of earlier rounds run again: they have no result yet."""
    return tallies.get((round_, status), 0)


def _corrected(tallies: Mapping[tuple[int, str], int], round_: int) -> int:
    """Whatever they failed with."""
    return sum(count for (of, status), count in tallies.items() if of == round_ and status.startswith(CORRECTED))


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
