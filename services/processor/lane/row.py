"""A row on its way: what a lane knows of it until its result is written."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from services.processor.offsets.window import Place
from shared.contract.events import RowAccepted, RowCreated, RowErrorCode, RowFailed, RowUnprocessed, now
from shared.contract.hospital_matching import MatchingKey, matching_key

if TYPE_CHECKING:
    from services.processor.lane.lane import Lane


class State(Enum):
    """Where a row is.

    READY      may be sent when permit, pace and breaker allow it
    WAITING    for its next attempt
    IN_FLIGHT  a call is under way
    IN_DOUBT   may have reached the directory: a look-up has to tell
    BLOCKED    by an earlier round of the same row
    DONE       has its result
    """

    READY = auto()
    WAITING = auto()
    IN_FLIGHT = auto()
    IN_DOUBT = auto()
    BLOCKED = auto()
    DONE = auto()


@dataclass(slots=True)
class Trouble:
    """What went wrong last, in the directory's words where there are any."""

    message: str
    status: int | None = None


@dataclass(slots=True, eq=False)
class Row:
    """One row in one round, in the window of a lane."""

    event: RowAccepted
    topic: str
    place: Place
    lane: "Lane"
    #: When Kafka took its event in, in seconds of the wall clock: so old is the lag, whoever has the row.
    received_at: float
    traceparent: str | None = None
    started_at: datetime = field(default_factory=now)
    state: State = State.READY
    #: Attempts that counted: the directory had the row, and a look-up told that nothing came of it.
    attempts: int = 0
    #: All tries in a row that did not get through, for the length of the next wait.
    setbacks: int = 0
    trouble: Trouble | None = None
    #: The last call counts as an attempt once its look-up has been answered.
    counts: bool = False
    #: The directory said that the row exists (409): when it is absent all the same, the row has failed.
    conflicted: bool = False
    successor: "Row | None" = None

    @property
    def identity(self) -> tuple[str, int]:
        """The job and the row, whatever the round."""
        return self.event.job_id, self.event.row

    @property
    def latest(self) -> "Row":
        """The last of the rounds that wait behind this one, or this one."""
        return self.successor.latest if self.successor is not None else self

    def matching_key(self) -> MatchingKey:
        """By which it is found in the directory."""
        return matching_key(self.event.name, self.event.address, self.event.phone)

    def created(self, hospital_id: int | str, *, found: bool = False) -> RowCreated:
        """The result when the directory holds the hospital."""
        return RowCreated(**self._facts(), hospital_id=hospital_id, found=found)

    def failed(self, code: RowErrorCode, message: str, status: int | None = None) -> RowFailed:
        """The result when it did not become a hospital."""
        return RowFailed(**self._facts(), code=code, message=message, http_status=status)

    def unprocessed(self, message: str) -> RowUnprocessed:
        """The result when it was not to be sent any more."""
        return RowUnprocessed(**self._facts(), message=message)

    def _facts(self) -> dict[str, object]:
        event = self.event
        return {
            "tenant": event.tenant,
            "job_id": event.job_id,
            "batch_id": event.batch_id,
            "row": event.row,
            "round": event.round,
            "name": event.name,
            "columns": event.columns,
            "attempts": self.attempts,
            "started_at": self.started_at,
        }
