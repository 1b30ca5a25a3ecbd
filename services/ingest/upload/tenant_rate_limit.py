"""How many uploads a minute each tenant may send, so that one tenant cannot use up the service."""

from math import ceil

from aiolimiter import AsyncLimiter

from shared.runtime.http.problems import Problem

_MINUTE = 60.0


class TenantRateLimit:
    """One limiter for each tenant, so at most as many as there are API keys. `per_minute` 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._limiters: dict[str, AsyncLimiter] = {}

    async def count_upload(self, tenant: str) -> None:
        """Counts one upload of the tenant. Raises Problem 429 when there are too many."""
        if not self._per_minute:
            return
        limiter = self._limiters.get(tenant)
        if limiter is None:
            limiter = self._limiters[tenant] = AsyncLimiter(self._per_minute, _MINUTE)
        if not limiter.has_capacity():
            detail = f"More than {self._per_minute:,} uploads in a minute. Please send it again later."
            raise Problem(429, "too_many_uploads", detail, retry_after=ceil(_MINUTE / self._per_minute))
        await limiter.acquire()
