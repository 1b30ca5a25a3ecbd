"""Whose jobs a request may see."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from shared.runtime.http.tenants import tenant_of
from shared.runtime.settings import ApiKey

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="Needed when the service was given API_KEYS")

#: The tenant whose jobs may be seen; None = the service is open, and everybody sees everything.
Tenant = str | None


def asking_tenant(keys: Sequence[ApiKey]) -> Callable[..., Awaitable[Tenant]]:
    """The dependency that names the tenant. Raises a 401 problem for a missing or unknown key."""

    async def tenant(request: Request, _documented: Annotated[str | None, Security(_HEADER)] = None) -> Tenant:
        return tenant_of(request, keys) if keys else None

    return tenant
