"""A true sliding window: what a strict directory counts before it answers 429."""

from collections import deque

from deploy.local.sandbox.faults import RateLimit


class RateWindow:
    """Lets at most ``limit.requests`` in during any ``limit.period_seconds``; refused calls do not count."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._let_in: deque[float] = deque()

    def wait_at(self, now: float) -> float | None:
        """None: let in, and counted. Else the seconds until a call would be. ``now`` (s) never runs backwards."""
        while self._let_in and self._let_in[0] <= now - self._limit.period_seconds:
            self._let_in.popleft()
        if len(self._let_in) < self._limit.requests:
            self._let_in.append(now)
            return None
        return self._let_in[0] + self._limit.period_seconds - now
