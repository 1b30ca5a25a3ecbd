"""Who asks. Keys are compared in constant time, and only their hashes are known here."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyHeader

from shared.problems import Problem
from shared.settings import ApiKey

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="Needed when the service was given API_KEYS")

#: The tenant whose jobs may be seen; None = the service is open, and everybody sees everything.
Tenant = str | None


def asking_tenant(keys: Sequence[ApiKey]) -> Callable[..., Awaitable[Tenant]]:
    """The dependency that names the tenant. Raises a 401 problem for a missing or unknown key."""

    async def tenant(key: Annotated[str | None, Security(_HEADER)] = None) -> Tenant:
        if not keys:
            return None
        digest = hashlib.sha256((key or "").encode()).hexdigest()
        # Every key is compared, so that the time tells nothing about which one fitted.
        fitting = [known.tenant for known in keys if hmac.compare_digest(known.sha256, digest)]
        if not fitting:
            raise Problem(401, "unauthorized", "Send your API key in the header X-API-Key.")
        return fitting[0]

    return tenant
