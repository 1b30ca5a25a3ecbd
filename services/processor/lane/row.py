"""One row on its way from its event to its result: what was delivered, what was tried, and its state."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from pydantic_core import from_json

from services.processor.offsets.window import Place
from shared.contract.events import RowAccepted, RowCreated, RowErrorCode, RowFailed, RowUnprocessed, now
from shared.contract.hospital_matching import MatchingKey, matching_key


class State(Enum):
    """The state of a row.

    READY      may be sent when the permit, the rate limit and the circuit breaker allow it
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


@dataclass(frozen=True, slots=True)
class LastError:
    """What went wrong last, in the directory's words where it sent any, with the HTTP status if there was one."""

    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Attempts:
    """What has been tried for a row so far."""

    #: Calls that the directory answered for, or whose outcome a look-up has told.
    count: int = 0
    #: How often in a row the row was not created, whether that was an attempt or not. Sets the length of the next wait.
    backoff_count: int = 0
    last_error: LastError | None = None
    #: The last call becomes an attempt when its look-up has been answered.
    counts_as_attempt: bool = False
    #: The directory answered 409. If the look-up does not find the hospital all the same, the row has failed.
    conflicted: bool = False


NO_ATTEMPTS = Attempts()


@dataclass(frozen=True, slots=True, eq=False)
class DeliveredRow:
    """One row in one round, as a lane's topic delivered it."""

    event: RowAccepted
    topic: str
    place: Place
    #: When Kafka took the event in, in seconds of the wall clock. The lane's lag is measured from here.
    received_at: float
    traceparent: str | None = None
    started_at: datetime = field(default_factory=now)
    #: The bytes that it is charged until its result is committed.
    charge: int = 0
    #: The record's value, when the event here is without what was uploaded: see `records`.
    value: bytes | None = None

    def uploaded(self) -> dict[str, Any]:
        """What was uploaded, as the fields `cells` and `columns` of the row's result."""
        if self.value is None:
            return {"cells": self.event.cells, "columns": self.event.columns}
        fields = from_json(self.value, cache_strings="none")
        return {"cells": tuple(fields.get("cells", ())), "columns": fields.get("columns")}


@dataclass(slots=True, eq=False)
class Row:
    """A row in the window of a lane. Only the lane's `LaneRows` changes it."""

    delivered: DeliveredRow
    attempts: Attempts = NO_ATTEMPTS
    state: State = State.READY

    @property
    def event(self) -> RowAccepted:
        """The event as it was delivered."""
        return self.delivered.event

    @property
    def topic(self) -> str:
        """The topic that delivered it."""
        return self.delivered.topic

    @property
    def place(self) -> Place:
        """Its place in the topic's window."""
        return self.delivered.place

    @property
    def identity(self) -> tuple[str, int]:
        """The job's id and the row's number: the same in all rounds."""
        return self.delivered.event.job_id, self.delivered.event.row

    def matching_key(self) -> MatchingKey:
        """The key by which the row's hospital is found in the directory."""
        event = self.delivered.event
        return matching_key(event.name, event.address, event.phone)

    def created(self, hospital_id: int | str, attempts: int = 0, *, found: bool = False) -> RowCreated:
        """The result when the directory holds the hospital. `found`: a look-up told so, not the call's answer."""
        return RowCreated(**self._common_fields(attempts), hospital_id=hospital_id, found=found)

    def failed(self, code: RowErrorCode, message: str, attempts: int = 0, status: int | None = None) -> RowFailed:
        """The result when it did not become a hospital."""
        return RowFailed(**self._common_fields(attempts), code=code, message=message, http_status=status)

    def unprocessed(self, message: str) -> RowUnprocessed:
        """The result when the row is not sent any more: its job was cancelled, or a later round took its place."""
        return RowUnprocessed(**self._common_fields(self.attempts.count), message=message)

    def _common_fields(self, attempts: int) -> dict[str, object]:
        event = self.delivered.event
        return {
            "tenant": event.tenant,
            "job_id": event.job_id,
            "batch_id": event.batch_id,
            "row": event.row,
            "round": event.round,
            "name": event.name,
            "address": event.address,
            "phone": event.phone,
            # As the row came: readers of its results may know no other way before everything is updated.
            **self.delivered.uploaded(),
            "attempts": attempts,
            "started_at": self.delivered.started_at,
        }
