"""What follows from a call's outcome, and from the answer of a look-up. Pure.

| outcome                            | what follows                   | counts as an attempt           |
|------------------------------------|--------------------------------|--------------------------------|
| Created                            | finished: created              | yes                            |
| Rejected                           | finished: failed               | yes                            |
| Conflicted                         | look up at once; absent: failed| no                             |
| NotSent, Throttled                 | retry at once                  | no                             |
| ConnectionFailed                   | retry after a wait             | no                             |
| ServiceRejected                    | look up after the settle time  | no                             |
| ServerError                        | look up at once                | when the look-up was answered  |
| Unanswered                         | look up after the settle time  | when the look-up was answered  |
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from services.processor.directory.outcomes import (
    CallOutcome,
    Conflicted,
    ConnectionFailed,
    Created,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from services.processor.lane.row import Attempts, LastError, Row
from shared.contract.events import RowErrorCode, RowOutcome


@dataclass(frozen=True, slots=True)
class AttemptRules:
    """How often and how soon a row is tried again.

    `settled_seconds` after its first byte nothing of a call can be created any more. `backoff`: the wait in seconds
    after so many failures in a row.
    """

    max_attempts: int
    settled_seconds: float
    backoff: Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Finished:
    """The row has its result."""

    result: RowOutcome


@dataclass(frozen=True, slots=True)
class Retry:
    """The hospital is certainly not in the directory: send the row again after so many seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class LookUp:
    """The hospital may be in the directory: look it up before anything else, not before this monotonic time."""

    not_before: float


Next = Finished | Retry | LookUp


@dataclass(frozen=True, slots=True)
class Found:
    """A look-up shows the hospital."""

    hospital_id: int | str


@dataclass(frozen=True, slots=True)
class Absent:
    """A look-up proves that the hospital is not in the directory."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A look-up does not show the hospital, which proves nothing. The message says what to look for."""

    message: str


LookUpAnswer = Found | Absent | Unclear


def after_call(row: Row, outcome: CallOutcome, sent: float, rules: AttemptRules) -> tuple[Attempts, Next]:
    """What follows from the outcome of a row's call, whose first byte was sent at that monotonic time."""
    before = row.attempts
    match outcome:
        case Created(hospital_id):
            count = before.count + 1
            return Attempts(count), Finished(row.created(hospital_id, count))
        case Rejected(status, message):
            after = Attempts(before.count + 1)
            return after, Finished(row.failed(RowErrorCode.REJECTED, message, after.count, status))
        case NotSent() | Throttled():
            return before, Retry(0.0)
        case ConnectionFailed(message):
            after = replace(before, backoff_count=before.backoff_count + 1, last_error=LastError(message))
            return after, Retry(rules.backoff(after.backoff_count))
        case Conflicted(message, status):
            return _in_doubt(before, LastError(message, status), conflicted=True), LookUp(sent)
        case ServiceRejected(status, message):
            return _in_doubt(before, LastError(message, status)), LookUp(sent + rules.settled_seconds)
        case ServerError(message, status):
            return _in_doubt(before, LastError(message, status), counts=True), LookUp(sent)
        case Unanswered(message, status):
            return _in_doubt(before, LastError(message, status), counts=True), LookUp(sent + rules.settled_seconds)
        case _:
            assert_never(outcome)


def _in_doubt(before: Attempts, error: LastError, *, counts: bool = False, conflicted: bool = False) -> Attempts:
    """After a call that may have arrived. One that counts adds to the backoff when its look-up has been answered."""
    return Attempts(before.count, before.backoff_count + (not counts), error, counts, conflicted)


def after_lookup(row: Row, answer: LookUpAnswer, rules: AttemptRules) -> tuple[Attempts, Finished | Retry]:
    """What follows when a look-up has told, or never will."""
    before = row.attempts
    counted = replace(before, count=before.count + before.counts_as_attempt, counts_as_attempt=False)
    match answer:
        case Found(hospital_id):
            return counted, Finished(row.created(hospital_id, counted.count, found=True))
        case Unclear(message):
            return counted, Finished(row.failed(RowErrorCode.OUTCOME_UNKNOWN, message, counted.count))
        case Absent():
            return _after_absence(row, counted, rules)
        case _:
            assert_never(answer)


def _after_absence(row: Row, counted: Attempts, rules: AttemptRules) -> tuple[Attempts, Finished | Retry]:
    error = counted.last_error
    if error is None:
        return counted, Retry(0.0)  # a former owner's row: nothing has gone wrong with it
    if counted.conflicted:
        return counted, Finished(row.failed(RowErrorCode.REJECTED, error.message, counted.count, error.status))
    if row.attempts.counts_as_attempt and counted.count >= rules.max_attempts:
        message = f"Not created after {counted.count} attempts. The last one: {error.message}"
        failed = row.failed(RowErrorCode.ATTEMPTS_EXHAUSTED, message, counted.count, error.status)
        return counted, Finished(failed)
    after = replace(counted, backoff_count=counted.backoff_count + row.attempts.counts_as_attempt)
    return after, Retry(rules.backoff(after.backoff_count))
