"""Whose request it is."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote

from fastapi import Request

from shared.runtime.http.problems import Problem
from shared.runtime.settings import ApiKey

#: The tenant of everybody where no keys are set.
OPEN_TENANT: Final = "default"
KEY_HEADER: Final = "X-API-Key"
UNAUTHORIZED: Final = f"Send a valid API key in the header {KEY_HEADER}."
#: What the page keeps its key in, since a browser's downloads and event streams send no headers of ours.
SESSION_COOKIE: Final = "hospital_session"


def tenant_of(request: Request, keys: Sequence[ApiKey]) -> str:
    """The tenant whose key the request carries, in X-API-Key or the page's cookie. Raises Problem 401."""
    if not keys:
        return OPEN_TENANT
    given = given_key(request)
    digest = hashlib.sha256(given.encode()).hexdigest()
    # Every key is compared, each in constant time, so that the time taken tells nothing.
    matches = [key.tenant for key in keys if hmac.compare_digest(key.sha256, digest)]
    if not given or not matches:
        raise Problem(401, "unauthorized", UNAUTHORIZED)
    return matches[0]


def given_key(request: Request) -> str:
    """The key that the request carries, right or wrong; empty when it carries none. The header goes first."""
    return request.headers.get("x-api-key") or unquote(request.cookies.get(SESSION_COOKIE, ""))


def cookie_value(key: str) -> str:
    """The key as a cookie can hold it, whatever its characters."""
    return quote(key, safe="")
