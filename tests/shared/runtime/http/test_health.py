"""Alive, ready, and what is missing by name."""

import asyncio
import time

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import Counter

from shared.runtime.http.health import CHECK_TIMEOUT_SECONDS, health_routes


async def well():
    """A dependency that can be used."""


async def down():
    """One that cannot, for a reason."""
    raise ConnectionError("connection refused")


async def speechless():
    """One that gives no reason."""
    raise ConnectionResetError


async def hanging():
    """One that never answers."""
    await asyncio.Event().wait()


@pytest.fixture
def get():
    """Answers of a service with these checks."""

    async def answer(path, checks=None, alive=None):
        app = FastAPI()
        app.include_router(health_routes(checks or {}, alive))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.get(path)

    return answer


async def test_ready_when_every_dependency_is(get):
    """Each is named."""
    answer = await get("/health/ready", {"kafka": well, "database": well})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "dependencies": {"kafka": {"status": "ok"}, "database": {"status": "ok"}},
    }


async def test_not_ready_when_one_is_missing(get):
    """Which, and why; the others are still told."""
    answer = await get("/health/ready", {"kafka": down, "database": well})
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not_ready",
        "dependencies": {
            "kafka": {"status": "unavailable", "detail": "connection refused"},
            "database": {"status": "ok"},
        },
    }


async def test_an_error_without_words_is_told_by_its_name(get):
    """An empty reason helps nobody."""
    answer = await get("/health/ready", {"kafka": speechless})
    assert answer.json()["dependencies"]["kafka"]["detail"] == "ConnectionResetError"


async def test_checks_that_hang_are_waited_for_once_and_for_two_seconds(get):
    """They run side by side, so that a probe's own time-out is not reached."""
    began = time.monotonic()
    answer = await get("/health/ready", {"kafka": hanging, "database": hanging})
    took = time.monotonic() - began
    assert answer.status_code == 503
    assert answer.json()["dependencies"]["kafka"]["detail"] == "no answer within 2 s"
    assert CHECK_TIMEOUT_SECONDS <= took < CHECK_TIMEOUT_SECONDS + 1


async def test_alive_does_not_ask_the_dependencies(get):
    """A restart mends no broker."""
    answer = await get("/health", {"kafka": down})
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_alive_while_its_own_check_is_content(get):
    """A service may know better whether it is stuck."""
    assert (await get("/health", alive=well)).status_code == 200


async def test_stuck_when_only_a_restart_can_help(get):
    """The reason is for whoever reads the restart's log."""
    answer = await get("/health", alive=down)
    assert (answer.status_code, answer.json()) == (503, {"status": "stuck", "detail": "connection refused"})


async def test_metrics_are_in_the_format_of_prometheus(get):
    """What a service counts is there."""
    Counter("ponies_seen", "Ponies that came by").inc()
    answer = await get("/metrics")
    assert "ponies_seen_total 1.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
