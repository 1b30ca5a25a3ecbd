"""What a lane may send: rows below the horizon of its last commit, and only for a lease after that commit began.

A frozen or replaced processor therefore stops by itself. The next owner of the lane waits until the lease has ended,
and the horizon tells it which rows may have been sent.

Pure: times are handed in, in seconds of the monotonic clock.
"""

from dataclasses import dataclass, field

from services.processor.offsets.watermark import Watermark

Horizons = dict[str, int]


@dataclass(slots=True)
class SendPermit:
    """A lane's permission to send. It permits nothing before the first commit has succeeded."""

    lease_seconds: float
    _committed: Horizons = field(default_factory=dict)
    _pending: Horizons | None = None
    _began: float = float("-inf")
    _pending_began: float = float("-inf")

    def commit_begins(self, now: float, watermarks: dict[str, Watermark]) -> None:
        """A commit begins. Until its outcome is known, the lower of the old and the new horizon counts."""
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
        """The offset below which rows may be sent."""
        committed = self._committed.get(topic, 0)
        return committed if self._pending is None else min(committed, self._pending.get(topic, 0))
