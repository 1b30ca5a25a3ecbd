"""The page's session: its API key in a cookie, as downloads and event streams of a browser send no headers of ours."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel

from shared.runtime.http.problems import ProblemDocument
from shared.runtime.http.tenants import SESSION_COOKIE, cookie_value, given_key, tenant_of
from shared.runtime.settings import ApiKey

_UNAUTHORIZED: dict[int | str, dict[str, Any]] = {
    401: {
        "model": ProblemDocument,
        "content": {"application/problem+json": {}},
        "description": "API keys are in use, and this is none",
    }
}


class Session(BaseModel):
    """Whose session it is; `default` where no keys are in use, and everybody is in."""

    tenant: str


def session_routes(keys: Sequence[ApiKey]) -> APIRouter:
    """`POST` to log in, `DELETE` to log out. The cookie is accepted wherever X-API-Key is, by ingest too."""
    router = APIRouter(prefix="/api/v1/session", tags=["session"])

    @router.post("", response_model=Session, responses=_UNAUTHORIZED)
    async def log_in(
        request: Request, response: Response, _documented: Annotated[str | None, Header(alias="X-API-Key")] = None
    ) -> Session:
        """Keeps the request's API key in a cookie that no script can read, until the browser is closed."""
        tenant = tenant_of(request, keys)
        response.headers["Cache-Control"] = "no-store"
        if keys:
            response.set_cookie(
                SESSION_COOKIE,
                cookie_value(given_key(request)),
                httponly=True,
                samesite="strict",
                secure=_over_tls(request),
            )
        return Session(tenant=tenant)

    @router.delete("", status_code=204)
    async def log_out(request: Request) -> Response:
        """Takes the cookie away. Nothing happens where there is none."""
        response = Response(status_code=204, headers={"Cache-Control": "no-store"})
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict", secure=_over_tls(request))
        return response

    return router


def _over_tls(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy in front of us."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
