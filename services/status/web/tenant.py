"""Whose jobs a request may see."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import Request

from shared.runtime.http.tenants import tenant_of
from shared.runtime.settings import ApiKey

#: The tenant whose jobs may be seen; None = the service is open, and everybody sees everything.
Tenant = str | None


def asking_tenant(keys: Sequence[ApiKey]) -> Callable[..., Awaitable[Tenant]]:
    """The dependency that names the tenant. Raises a 401 problem for a missing or unknown key."""

    async def tenant(request: Request) -> Tenant:
        return tenant_of(request, keys) if keys else None

    return tenant
