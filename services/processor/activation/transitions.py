"""What follows from the outcome of an activation's call. Pure.

| outcome                            | what follows                          | counts as an attempt          |
|------------------------------------|---------------------------------------|-------------------------------|
| Activated                          | answered: activated                   |                               |
| Rejected, Conflicted               | answered: failed                      |                               |
| ServerError                        | again after a wait                    | yes                           |
| Unanswered, ServiceRejected        | look the batch up first, after a wait | when the look-up was answered |
| ConnectionFailed, LookupFailed     | the same call again, after a wait     | no                            |
| NotSent, Throttled                 | the same call again                   | no                            |

An activation may be repeated, so nothing is ever in doubt. A look-up tells an outage, which costs no activation, from a
batch that the directory cannot activate: only that one uses up its attempts and fails, in the directory's words.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from services.processor.activation.requests import ActivationRequest
from services.processor.directory.outcomes import (
    Activated,
    ActivationOutcome,
    Conflicted,
    ConnectionFailed,
    Listed,
    LookupFailed,
    LookUpOutcome,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from shared.contract.events import BatchActivated, BatchActivationFailed

Answer = BatchActivated | BatchActivationFailed


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been tried for a request so far."""

    attempts: int = 0
    #: How often in a row it did not succeed, whether that was an attempt or not.
    backoff_count: int = 0
    #: The batch is looked up before it is activated again: that tells whether the last call was an attempt.
    look_up_first: bool = False
    #: What went wrong last, in the directory's words, and the HTTP status if there was one.
    message: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The request is done: this event says how it ended."""

    event: Answer


@dataclass(frozen=True, slots=True)
class Again:
    """It is tried again after so many seconds."""

    delay: float


def after_activation(
    request: ActivationRequest,
    before: Progress,
    outcome: ActivationOutcome | LookUpOutcome,
    max_attempts: int,
    backoff: Callable[[int], float],
) -> tuple[Progress, Answered | Again]:
    """What follows from the outcome of a request's call. `backoff`: the wait after so many failures in a row."""
    match outcome:
        case Activated(message):
            return before, Answered(request.activated(message))
        case Rejected(status, message) | Conflicted(message, status):
            return before, Answered(request.failed(message, status))
        case NotSent() | Throttled():
            return before, Again(0.0)
        case ServerError(message, status):
            after = replace(before, attempts=before.attempts + 1, message=message, status=status)
        case Listed():
            after = replace(before, attempts=before.attempts + 1, look_up_first=False)
        case Unanswered(message, status) | ServiceRejected(status, message):
            after = replace(before, look_up_first=True, message=message, status=status)
        case ConnectionFailed() | LookupFailed():
            after = before
        case _:
            assert_never(outcome)
    if after.attempts >= max_attempts:
        message = f"Not activated after {after.attempts} attempts. The last one: {after.message}"
        return after, Answered(request.failed(message, after.status))
    after = replace(after, backoff_count=before.backoff_count + 1)
    return after, Again(backoff(after.backoff_count))
