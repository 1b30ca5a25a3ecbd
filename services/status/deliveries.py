"""What a batch of records tells the projection."""

from dataclasses import dataclass, field

from shared.events import JobEvent, ProcessorReported, RowOutcome


@dataclass(frozen=True, slots=True)
class Delivery:
    """Decoded events, each kind in the order in which it was read."""

    results: list[RowOutcome] = field(default_factory=list)
    #: With the partition of hospital.jobs that the job is in.
    job_events: list[tuple[int, JobEvent]] = field(default_factory=list)
    reports: list[ProcessorReported] = field(default_factory=list)
