"""Whose upload it is, and under which key: asked before its body is read."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from services.ingest.upload.body import listen_to_the_end
from services.ingest.upload.idempotency_key import idempotency_key
from services.ingest.upload.tenant_rate_limit import TenantPace
from shared.runtime.problems import Problem
from shared.runtime.settings import ApiKey
from shared.runtime.tenants import tenant_of


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets tenants in at their pace. Those refused may send their body to its end, so that they read why."""

    keys: Sequence[ApiKey]
    pace: TenantPace

    async def tenant(self, request: Request) -> str:
        """The tenant. Raises Problem 401 and 429."""
        async with _heard(request):
            return await self._admitted(request)

    async def introduced(self, request: Request, keys: list[str]) -> tuple[str, str]:
        """The upload's idempotency key and its tenant. Raises Problem 400, 401 and 429."""
        async with _heard(request):
            tenant = await self._admitted(request)
            return idempotency_key(keys), tenant

    async def _admitted(self, request: Request) -> str:
        tenant = tenant_of(request, self.keys)
        await self.pace.admit(tenant)
        return tenant


@asynccontextmanager
async def _heard(request: Request) -> AsyncIterator[None]:
    try:
        yield
    except Problem:
        await listen_to_the_end(request)
        raise
