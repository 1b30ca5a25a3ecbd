"""What a lane may send: only rows below the horizon that its last commit made known, and only for a lease after it.

A frozen or replaced processor so stops by itself: whoever takes over waits until the lease has ended, and knows which
rows may have been sent. Pure: times are handed in, in seconds of the monotonic clock.
"""

from dataclasses import dataclass, field

from services.processor.offsets.watermark import Watermark

Horizons = dict[str, int]


@dataclass(slots=True)
class Permit:
    """A lane's permission to send. There is none before the first commit."""

    lease_seconds: float
    _committed: Horizons = field(default_factory=dict)
    _pending: Horizons | None = None
    _began: float = float("-inf")
    _pending_began: float = float("-inf")

    def commit_begins(self, now: float, watermarks: dict[str, Watermark]) -> None:
        """While a commit is under way nobody knows which of the two horizons holds: the lower of both counts."""
        self._pending = {topic: watermark.horizon for topic, watermark in watermarks.items()}
        self._pending_began = now

    def committed(self) -> None:
        """The commit that began last has succeeded: its horizon holds, and its lease runs from when it began."""
        if self._pending is not None:
            self._committed, self._began, self._pending = self._pending, self._pending_began, None

    def withdraw(self) -> None:
        """Nothing more may be sent until the next commit."""
        self._committed, self._began, self._pending = {}, float("-inf"), None

    def holds(self, now: float) -> bool:
        """Whether the lease still runs."""
        return now - self._began < self.lease_seconds

    def allows(self, topic: str, offset: int, now: float) -> bool:
        """Whether the row at this offset may be sent now."""
        return self.holds(now) and offset < self.horizon(topic)

    def horizon(self, topic: str) -> int:
        """Below this offset rows may be sent."""
        committed = self._committed.get(topic, 0)
        return committed if self._pending is None else min(committed, self._pending.get(topic, 0))
