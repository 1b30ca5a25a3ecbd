"""The events of one batch of records."""

from dataclasses import dataclass, field
from typing import NamedTuple

from shared.contract.events import JobEvent, ProcessorReported, RowOutcome


class PositionedEvent(NamedTuple):
    """An event of hospital.jobs, and its position there."""

    partition: int
    offset: int
    event: JobEvent


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Decoded events, each kind in the order in which it was read."""

    results: list[RowOutcome] = field(default_factory=list)
    job_events: list[PositionedEvent] = field(default_factory=list)
    reports: list[ProcessorReported] = field(default_factory=list)
