"""What follows from a call's outcome, and from a look-up that did not find the row. Pure.

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

from dataclasses import dataclass
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
from services.processor.lane.row import LastError, Row
from shared.contract.events import RowErrorCode, RowOutcome


@dataclass(frozen=True, slots=True)
class Finished:
    """The row has its result."""

    result: RowOutcome


@dataclass(frozen=True, slots=True)
class Retry:
    """The hospital is certainly not in the directory: send the row again.

    Without an error the row is sent again at once, with one after a wait.
    """

    error: LastError | None = None


@dataclass(frozen=True, slots=True)
class LookUp:
    """The hospital may be in the directory: look it up before anything else.

    `after_settle_time`: the directory may still be about to create it. `counts_as_attempt`: the call is an attempt
    once the look-up has been answered. `conflicted`: the directory answered 409.
    """

    error: LastError
    after_settle_time: bool
    counts_as_attempt: bool
    conflicted: bool = False


Transition = Finished | Retry | LookUp


def after_call(row: Row, outcome: CallOutcome) -> Transition:
    """What follows from the outcome of a row's call."""
    match outcome:
        case Created(hospital_id):
            return Finished(row.created(hospital_id))
        case Rejected(status, message):
            return Finished(row.failed(RowErrorCode.REJECTED, message, status))
        case Conflicted(message, status):
            error = LastError(message, status)
            return LookUp(error, after_settle_time=False, counts_as_attempt=False, conflicted=True)
        case NotSent() | Throttled():
            return Retry()
        case ConnectionFailed(message):
            return Retry(LastError(message))
        case ServiceRejected(status, message):
            return LookUp(LastError(message, status), after_settle_time=True, counts_as_attempt=False)
        case ServerError(message, status):
            return LookUp(LastError(message, status), after_settle_time=False, counts_as_attempt=True)
        case Unanswered(message, status):
            return LookUp(LastError(message, status), after_settle_time=True, counts_as_attempt=True)
        case _:
            assert_never(outcome)


def after_absence(row: Row, max_attempts: int) -> Finished | Retry:
    """What follows when a look-up has shown that the row is not in the directory."""
    error = row.last_error
    if row.conflicted and error is not None:
        return Finished(row.failed(RowErrorCode.REJECTED, error.message, error.status))
    if row.counts_as_attempt and error is not None and row.attempts >= max_attempts:
        message = f"Not created after {row.attempts} attempts. The last one: {error.message}"
        return Finished(row.failed(RowErrorCode.ATTEMPTS_EXHAUSTED, message, error.status))
    return Retry(error)
