"""The page's session: its API key in a cookie, as downloads and event streams of a browser send no headers of ours."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from services.status.web.openapi import EVERYWHERE
from shared.runtime.http.openapi import API_KEY, CACHE_CONTROL, Documented, header
from shared.runtime.http.tenants import SESSION_COOKIE, cookie_value, given_key, tenant_of
from shared.runtime.settings import ApiKey

_SET_COOKIE = {"Set-Cookie": header(f"`{SESSION_COOKIE}`, HttpOnly, SameSite=Strict.", type="string")}
_LOGGED_IN: Documented = EVERYWHERE | {
    200: {"description": "The session is kept in a cookie.", "headers": _SET_COOKIE | CACHE_CONTROL}
}
_LOGGED_OUT: Documented = {
    204: {"description": "There is no session any more.", "headers": _SET_COOKIE | CACHE_CONTROL},
    500: EVERYWHERE[500],
    503: EVERYWHERE[503],
}


class Session(BaseModel):
    """Whose session it is; `default` where no keys are in use, and everybody is in."""

    tenant: str


def session_routes(keys: Sequence[ApiKey]) -> APIRouter:
    """`POST` to log in, `DELETE` to log out. The cookie is accepted wherever X-API-Key is, by ingest too."""
    router = APIRouter(prefix="/api/v1/session", tags=["session"])

    @router.post(
        "",
        operation_id="log_in",
        summary="Log in",
        response_model=Session,
        responses=_LOGGED_IN,
        openapi_extra={"security": [{API_KEY: []}] if keys else [{}, {API_KEY: []}]},
    )
    async def log_in(request: Request, response: Response) -> Session:
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

    @router.delete(
        "",
        operation_id="log_out",
        summary="Log out",
        status_code=204,
        responses=_LOGGED_OUT,
        openapi_extra={"security": []},
    )
    async def log_out(request: Request) -> Response:
        """Takes the cookie away. Nothing happens where there is none."""
        response = Response(status_code=204, headers={"Cache-Control": "no-store"})
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict", secure=_over_tls(request))
        return response

    return router


def _over_tls(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy in front of us."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
