"""How a call to the directory can end, as types. What follows from each is decided in `lane.transitions`.

creation    Created | Rejected | Conflicted | Throttled | ServiceRejected | ServerError | ConnectionFailed | NotSent
            | Unanswered
look-up     Listed | LookupFailed | Throttled | ConnectionFailed | NotSent
activation  Activated instead of Created, else as a creation
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Created:
    """2xx with an id. `echoed` is False when the hospital in the answer does not match the one that was sent."""

    hospital_id: int | str
    echoed: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """400, 413, 422: the directory will never take this row."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """409: the hospital exists. Perhaps an earlier call of ours created it."""

    message: str
    status: int = 409


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. `retry_after` in seconds, None when the directory did not say."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class ServiceRejected:
    """401, 403, 404, 405, 408, 425: the directory rejects this service, not the row. A wrong token, for example."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class ServerError:
    """500: the directory has finished with the call. A look-up can tell at once whether the hospital was created."""

    message: str
    status: int = 500


@dataclass(frozen=True, slots=True)
class ConnectionFailed:
    """No connection: the row cannot have reached the directory."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not sent, and nothing went wrong: the permit ended or the circuit breaker opened before the first byte."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Time-out, connection lost, 502, 503, 504, 2xx without an id, 3xx: the hospital may exist, now or a little later.

    `retry_after` in seconds, when the directory sent it with a 503.
    """

    message: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One hospital as the directory lists it."""

    hospital_id: int | str
    name: str
    address: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """The hospitals of a batch. `whole` is False when the answer was only a page of them."""

    hospitals: tuple[Listing, ...]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class LookupFailed:
    """The look-up failed: it says nothing about any row. `retry_after` as in `Unanswered`."""

    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Activated:
    """The directory activated the batch."""

    message: str


CallOutcome = (
    Created
    | Rejected
    | Conflicted
    | Throttled
    | ServiceRejected
    | ServerError
    | ConnectionFailed
    | NotSent
    | Unanswered
)
LookUpOutcome = Listed | LookupFailed | Throttled | ConnectionFailed | NotSent
ActivationOutcome = (
    Activated
    | Rejected
    | Conflicted
    | Throttled
    | ServiceRejected
    | ServerError
    | ConnectionFailed
    | NotSent
    | Unanswered
)

#: The outcomes that the circuit breaker counts as failures of the directory, or of the way to it.
FAILURES = (ServiceRejected, ServerError, ConnectionFailed, Unanswered, LookupFailed)
