"""The page's session: a key in a cookie that no script can read."""

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from services.status.web.session_routes import session_routes
from shared.runtime.http.problems import answer_with_problems
from shared.runtime.http.tenants import tenant_of
from shared.runtime.settings import ApiKey

ODD_KEY = 'k; "ä" = %41, \\'
KEYS = tuple(
    ApiKey(tenant=tenant, sha256=hashlib.sha256(key.encode()).hexdigest())
    for tenant, key in (("north", "n-key"), ("south", "s-key"), ("odd", ODD_KEY))
)
SESSION = "/api/v1/session"


def app(keys: tuple[ApiKey, ...]) -> FastAPI:
    """An app with sessions, and a route that tells whose request it was."""
    app = FastAPI()
    answer_with_problems(app)
    app.include_router(session_routes(keys))

    @app.get("/whose")
    async def whose(request: Request) -> str:
        return tenant_of(request, keys)

    return app


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(KEYS)), base_url="http://status") as browser:
        yield browser


async def test_a_key_that_was_given_once_is_in_the_cookie_from_then_on(browser):
    """Without any header of ours."""
    answer = await browser.post(SESSION, headers={"X-API-Key": "s-key"})

    assert (answer.status_code, answer.json()) == (200, {"tenant": "south"})
    assert (await browser.get("/whose")).json() == "south"


async def test_no_script_and_no_other_site_gets_at_the_cookie(browser):
    """And it ends with the browser."""
    cookie = (await browser.post(SESSION, headers={"X-API-Key": "s-key"})).headers["set-cookie"]

    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Max-Age" not in cookie
    assert "expires" not in cookie.lower()


async def test_behind_tls_the_cookie_is_for_tls_only(browser):
    """The proxy tells."""
    headers = {"X-API-Key": "s-key", "X-Forwarded-Proto": "https"}

    assert "Secure" in (await browser.post(SESSION, headers=headers)).headers["set-cookie"].split("; ")


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "guessed"}])
async def test_a_wrong_key_gets_no_cookie(browser, headers):
    """401, as a problem."""
    answer = await browser.post(SESSION, headers=headers)

    assert (answer.status_code, answer.json()["error_type"]) == (401, "unauthorized")
    assert "set-cookie" not in answer.headers


async def test_logging_out_takes_the_cookie_away(browser):
    """Twice does no harm."""
    await browser.post(SESSION, headers={"X-API-Key": "s-key"})

    answers = [await browser.delete(SESSION) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert (await browser.get("/whose")).status_code == 401


async def test_the_header_goes_before_the_cookie(browser):
    """A program that sends both means the header."""
    await browser.post(SESSION, headers={"X-API-Key": "s-key"})

    assert (await browser.get("/whose", headers={"X-API-Key": "n-key"})).json() == "north"
    assert (await browser.get("/whose", headers={"X-API-Key": "guessed"})).status_code == 401


async def test_a_key_may_have_any_characters(browser):
    """The cookie holds them in its own way."""
    await browser.post(SESSION, headers={"X-API-Key": ODD_KEY.encode("latin-1")})

    assert (await browser.get("/whose")).json() == "odd"


async def test_where_no_keys_are_in_use_no_session_is_needed():
    """Everybody is in, and nothing is kept."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(())), base_url="http://status") as browser:
        answer = await browser.post(SESSION, headers={"X-API-Key": "whatever"})

        assert (answer.status_code, answer.json()) == (200, {"tenant": "default"})
        assert "set-cookie" not in answer.headers
        assert (await browser.get("/whose")).json() == "default"
