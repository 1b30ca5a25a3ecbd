"""How a call to the directory can end, as types; what follows from each is decided in `verdict`.

creation   Created | Rejected | Conflicted | Throttled | Refused | ServerError | NeverSent | Withheld | Unanswered
look-up    Listed | Unlisted | (Throttled, NeverSent and Withheld as above)
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Created:
    """2xx with an id. `echoed` is False when the hospital in the answer is not alike the one that was sent."""

    hospital_id: int | str
    echoed: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """400, 413, 422: the directory will never take this row."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """409: somebody has created it, perhaps we."""

    message: str
    status: int = 409


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. `retry_after` in seconds, when the directory named it."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Refused:
    """401, 403, 404, 405, 408, 425: the fault of the directory or of our set-up, not of the row."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class ServerError:
    """500, answered: the directory has finished with the call; what came of it can be looked up at once."""

    message: str
    status: int = 500


@dataclass(frozen=True, slots=True)
class NeverSent:
    """No connection: the row cannot have reached the directory."""

    message: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """The permit, the slot or the breaker ended before the first byte: nothing was sent, nobody is at fault."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Time-out, dropped, 502, 503, 504, 2xx without an id, 3xx: the hospital may exist, now or a little later.

    `retry_after` in seconds, when the directory named it beside a 503.
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
class Unlisted:
    """The look-up failed: it says nothing about any row. `retry_after` as above."""

    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Activated:
    """The directory activated the batch."""

    message: str


CallOutcome = Created | Rejected | Conflicted | Throttled | Refused | ServerError | NeverSent | Withheld | Unanswered
LookUpOutcome = Listed | Unlisted | Throttled | NeverSent | Withheld
ActivationOutcome = (
    Activated | Rejected | Conflicted | Throttled | Refused | ServerError | NeverSent | Withheld | Unanswered
)

#: These say that the directory, or the way to it, is in trouble: the breaker counts them.
TROUBLE = (Refused, ServerError, NeverSent, Unanswered, Unlisted)
