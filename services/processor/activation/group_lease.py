"""How long we may act on what a consumer group has given us: the activations' counterpart of a lane's permit."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Tenure:
    """Our share of a group from one rebalance to the next, in seconds of the monotonic clock.

    A commit that Kafka takes shows that we were a member when it began, and keeps us one for a session time-out. What
    the share brought may be sent only for a lease after that, so a frozen or replaced processor stops by itself.
    """

    lease_seconds: float
    over: bool = False
    _confirmed: float = field(default=float("-inf"))

    def confirm(self, began: float) -> None:
        """Kafka took a commit that began then."""
        self._confirmed = max(self._confirmed, began)

    @property
    def holds(self) -> bool:
        """Whether something may be sent now."""
        return not self.over and self._age() < self.lease_seconds

    @property
    def needs_commit(self) -> bool:
        """Whether it is time to show again that we are a member."""
        return self._age() > self.lease_seconds / 3

    def _age(self) -> float:
        return time.monotonic() - self._confirmed
