"""Whose upload it is and under which key. Both are checked before the body is read."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from services.ingest.upload.body import BODY_TIMEOUTS, BodyTimeouts, drain_body
from services.ingest.upload.idempotency_key import idempotency_key
from services.ingest.upload.tenant_rate_limit import TenantRateLimit
from shared.runtime.http.problems import Problem
from shared.runtime.http.tenants import tenant_of
from shared.runtime.settings import ApiKey


@dataclass(frozen=True, slots=True)
class Authentication:
    """Finds an upload's tenant and counts the upload. A refused client may send its body to the end first."""

    keys: Sequence[ApiKey]
    rate_limit: TenantRateLimit
    timeouts: BodyTimeouts = BODY_TIMEOUTS

    async def tenant(self, request: Request) -> str:
        """The tenant. Raises Problem 401 and 429."""
        async with self._drained_on_refusal(request):
            return await self._counted_tenant(request)

    async def keyed_tenant(self, request: Request, keys: list[str]) -> tuple[str, str]:
        """The idempotency key and the tenant. `keys`: the values of the header. Raises Problem 400, 401 and 429."""
        async with self._drained_on_refusal(request):
            tenant = await self._counted_tenant(request)
            return idempotency_key(keys), tenant

    async def _counted_tenant(self, request: Request) -> str:
        tenant = tenant_of(request, self.keys)
        await self.rate_limit.count_upload(tenant)
        return tenant

    @asynccontextmanager
    async def _drained_on_refusal(self, request: Request) -> AsyncIterator[None]:
        try:
            yield
        except Problem:
            await drain_body(request, self.timeouts.drain_seconds)
            raise
