"""What follows from a call's outcome: the table "A call" of the protocol, and nothing else. Pure.

| how it ended                          | doubt                 | counts as an attempt             |
|---------------------------------------|-----------------------|----------------------------------|
| Created                               | none: created         | -                                |
| Rejected                              | none: failed          | -                                |
| Conflicted                            | look up at once       | absent = failed                  |
| NeverSent, Withheld, Throttled        | none: again           | no                               |
| Refused                               | look up after settling| no                               |
| ServerError                           | look up at once       | when the look-up was answered    |
| Unanswered                            | look up after settling| when the look-up was answered    |
"""

from dataclasses import dataclass
from typing import assert_never

from services.processor.directory.outcomes import (
    CallOutcome,
    Conflicted,
    Created,
    NeverSent,
    Refused,
    Rejected,
    ServerError,
    Throttled,
    Unanswered,
    Withheld,
)
from services.processor.lane.row import Row, Trouble
from shared.contract.events import RowErrorCode, RowOutcome


@dataclass(frozen=True, slots=True)
class Finish:
    """The row has its result."""

    result: RowOutcome


@dataclass(frozen=True, slots=True)
class Again:
    """Nothing was sent: try again. `at_once` when nobody was at fault, else after a wait."""

    trouble: Trouble | None = None

    @property
    def at_once(self) -> bool:
        """Whether the row may go as soon as it is its turn."""
        return self.trouble is None


@dataclass(frozen=True, slots=True)
class LookUp:
    """The hospital may exist. `settle` when the directory may still be about to create it."""

    trouble: Trouble
    settle: bool
    counts: bool
    conflicted: bool = False


Verdict = Finish | Again | LookUp


def verdict(row: Row, outcome: CallOutcome) -> Verdict:
    """What to do with a row after a call."""
    match outcome:
        case Created(hospital_id):
            return Finish(row.created(hospital_id))
        case Rejected(status, message):
            return Finish(row.failed(RowErrorCode.REJECTED, message, status))
        case Conflicted(message, status):
            return LookUp(Trouble(message, status), settle=False, counts=False, conflicted=True)
        case Withheld() | Throttled():
            return Again()
        case NeverSent(message):
            return Again(Trouble(message))
        case Refused(status, message):
            return LookUp(Trouble(message, status), settle=True, counts=False)
        case ServerError(message, status):
            return LookUp(Trouble(message, status), settle=False, counts=True)
        case Unanswered(message, status):
            return LookUp(Trouble(message, status), settle=True, counts=True)
        case _:
            assert_never(outcome)


def absent(row: Row, max_attempts: int) -> Finish | Again:
    """What to do with a row that a look-up did not find, and that is therefore not in the directory."""
    trouble = row.trouble
    if row.conflicted and trouble is not None:
        return Finish(row.failed(RowErrorCode.REJECTED, trouble.message, trouble.status))
    if row.counts and trouble is not None and row.attempts >= max_attempts:
        message = f"Not created after {row.attempts} attempts. The last one: {trouble.message}"
        return Finish(row.failed(RowErrorCode.ATTEMPTS_EXHAUSTED, message, trouble.status))
    return Again(trouble)
