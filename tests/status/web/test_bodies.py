"""Bodies and methods that the service's app does not take, asked of the app as it is built; nothing is connected."""

import asyncio

import httpx
import pytest

from services.status.service import build
from services.status.settings import StatusSettings
from shared.runtime.http.small_bodies import MAX_BODY_BYTES

JOB = "/api/v1/hospitals/jobs/job-1"


@pytest.fixture
def app(tmp_path):
    """The app, which waits 0.2 s for a body."""
    settings = StatusSettings(
        kafka_bootstrap_servers="127.0.0.1:1", status_database_url=f"sqlite:///{tmp_path / 'status.db'}"
    )
    return build(settings, body_seconds=0.2)


async def test_a_resolution_whose_body_never_comes_is_408(app):
    """Its reader would wait for ever."""
    answered = {}

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        answered.update(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": f"{JOB}/rows/2/resolve",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"9")],
    }
    async with asyncio.timeout(10):
        await app(scope, receive, send)
    assert answered["status"] == 408
    assert b"request_timeout" in answered["body"]


async def test_a_resolution_that_is_too_large_is_413(app):
    """It is not kept in memory."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://status") as client:
        answer = await client.post(f"{JOB}/rows/2/resolve", json={"hospital_id": "x" * MAX_BODY_BYTES})
    assert (answer.status_code, answer.json()["error_type"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{JOB}/cancel", "POST"),
        ("PUT", "/api/v1/hospitals/jobs", "GET, HEAD"),
        ("OPTIONS", "/api/v1/session", "POST, DELETE"),
        ("POST", "/index.html", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_and_told_the_right_ones(app, method, path, allowed):
    """The page at `/` does not hide the routes of the API."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://status") as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_unknown_address_of_the_api_is_404(app):
    """As a problem document."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://status") as client:
        answer = await client.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()["error_type"]) == (404, "not_found")
