"""How long a processor may act on what a consumer group has assigned to it. A lane has a send permit instead."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class GroupLease:
    """The lease on an assignment, from one rebalance to the next. Times in seconds of the monotonic clock.

    A commit that Kafka accepts shows that we were a member of the group when it began. For `lease_seconds` after that
    we may act on what the assignment brought. A frozen or replaced processor therefore stops by itself.
    """

    lease_seconds: float
    ended: bool = False
    clock: Callable[[], float] = time.monotonic
    _renewed_at: float = field(default=float("-inf"))

    def renew(self, began: float) -> None:
        """Kafka has accepted a commit that began then."""
        self._renewed_at = max(self._renewed_at, began)

    @property
    def holds(self) -> bool:
        """Whether something may be sent now."""
        return not self.ended and self._age() < self.lease_seconds

    @property
    def needs_renewal(self) -> bool:
        """Whether the next commit is due: after a third of the lease."""
        return self._age() > self.lease_seconds / 3

    def _age(self) -> float:
        return self.clock() - self._renewed_at
