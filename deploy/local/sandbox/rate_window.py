"""A sliding window, as a strict directory counts requests before it answers 429."""

from collections import deque

from deploy.local.sandbox.faults import RateLimit


class RateWindow:
    """Admits at most ``limit.requests`` during any ``limit.period_seconds``; refused calls do not count."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._admitted: deque[float] = deque()

    def wait_at(self, now: float) -> float | None:
        """None: admitted, and counted. Else the seconds until a call would be. ``now`` (s) never runs backwards."""
        while self._admitted and self._admitted[0] <= now - self._limit.period_seconds:
            self._admitted.popleft()
        if len(self._admitted) < self._limit.requests:
            self._admitted.append(now)
            return None
        return self._admitted[0] + self._limit.period_seconds - now
