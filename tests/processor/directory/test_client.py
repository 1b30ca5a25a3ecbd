"""One call, one outcome: against a real HTTP server."""

import asyncio
import socket

import pytest
from aiohttp import web

from deploy.local.sandbox import Sandbox
from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import (
    Activated,
    Conflicted,
    ConnectionFailed,
    Created,
    Listed,
    LookupFailed,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from services.processor.settings import DirectorySettings
from tests.support.processor.directory_server import allowed, answering, directory, fixed
from tests.support.processor.lane_doubles import accepted


async def test_a_hospital_is_created_with_everything_that_the_row_says():
    """Its batch, its idempotency key, its trace."""
    async with Sandbox() as sandbox, directory(sandbox.base_url) as client:
        outcome = await client.create(accepted(), allowed, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        assert isinstance(outcome, Created)
        assert outcome.echoed
        listed = await client.look_up("batch")
        assert [hospital.hospital_id for hospital in listed.hospitals] == [outcome.hospital_id]
        assert isinstance(await client.activate("batch"), Activated)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (422, {"detail": [{"loc": ["body", "name"], "msg": "too long"}]}, Rejected(422, "name: too long")),
        (400, {"message": "bad phone"}, Rejected(400, "bad phone")),
        (413, "too big", Rejected(413, "too big")),
        (409, {"detail": "exists"}, Conflicted("exists")),
        (401, {"detail": "who are you"}, ServiceRejected(401, "who are you")),
        (404, "", ServiceRejected(404, "HTTP 404 Not Found")),
        (408, "slow", ServiceRejected(408, "slow")),
        (500, {"error": "boom"}, ServerError("boom")),
        (502, "gateway", Unanswered("gateway", 502)),
        (503, "later", Unanswered("later", 503)),
        (302, "elsewhere", Unanswered("elsewhere", 302)),
        (200, {"name": "no id"}, Unanswered("the directory's answer has no id", 200)),
        (200, {"id": True}, Unanswered("the directory's answer has no id", 200)),
        (200, "not json", Unanswered("the directory's answer has no id", 200)),
        (200, "[" * 100_000, Unanswered("the directory's answer has no id", 200)),
        (201, {"id": "abc"}, Created("abc")),
        (201, '\ufeff{"id": 4}', Created(4)),
        (422, '{"detail": "half \\ud800"}', Rejected(422, "half")),
        (200, {"id": 4, "name": " st.  MARY 2", "address": "2 main st", "phone": "(555) 0101"}, Created(4)),
        (200, {"id": 4, "name": "Saint Mary 2"}, Created(4, echoed=False)),
        (200, {"id": 4, "creation_batch_id": "batch"}, Created(4)),
        (200, {"id": 4, "creation_batch_id": None}, Created(4, echoed=False)),
    ],
)
async def test_every_answer_to_a_creation_is_one_outcome(status, body, expected):
    """In the directory's own words where it has any."""
    async with answering(fixed(status, body)) as url, directory(url) as client:
        assert await client.create(accepted(), allowed) == expected


async def test_429_brings_how_long_to_wait():
    """When the directory says it."""
    async with answering(fixed(429, "slow down", **{"Retry-After": "7"})) as url, directory(url) as client:
        assert await client.create(accepted(), allowed) == Throttled(7.0)
        assert await client.look_up("batch") == Throttled(7.0)


async def test_503_may_say_how_long_to_wait_too():
    """The row may exist all the same; a moved page's Retry-After is not a wait for us."""
    async with answering(fixed(503, "maintenance", **{"Retry-After": "7"})) as url, directory(url) as client:
        assert await client.create(accepted(), allowed) == Unanswered("maintenance", 503, 7.0)
        assert await client.look_up("batch") == LookupFailed("maintenance", 7.0)
    async with answering(fixed(301, "moved", **{"Retry-After": "7"})) as url, directory(url) as client:
        assert await client.create(accepted(), allowed) == Unanswered("moved", 301)


async def test_a_refused_connection_was_never_sent():
    """So it needs no look-up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with directory(url) as client:
            assert isinstance(await client.create(accepted(), allowed), ConnectionFailed)
            assert isinstance(await client.look_up("batch"), ConnectionFailed)


async def test_a_lost_answer_is_not_an_answer():
    """The sandbox creates the hospital and drops the connection: nobody may say that it was not sent."""
    async with Sandbox() as sandbox, directory(sandbox.base_url) as client:
        sandbox.inject(lose_answer=1.0)
        assert isinstance(await client.create(accepted(), allowed), Unanswered)
        assert len((await client.look_up("batch")).hospitals) == 1


async def test_the_deadline_is_total():
    """A server that drips a byte now and then does not outlast it."""

    async def drip(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(50):
            await answer.write(b" ")
            await asyncio.sleep(0.1)
        return answer

    async with answering(drip) as url, directory(url, hospital_api_timeout=0.5) as client:
        async with asyncio.timeout(2):
            outcome = await client.create(accepted(), allowed)
        assert isinstance(outcome, Unanswered)
        assert "0.5 s" in outcome.message


async def test_a_guard_that_says_no_lets_not_a_byte_through():
    """And the one connection of the pool goes on working afterwards."""
    async with Sandbox() as sandbox, directory(sandbox.base_url) as client:
        for _ in range(3):
            assert await client.create(accepted(), lambda: False) == NotSent()
            assert await client.look_up("batch", lambda: False) == NotSent()
        assert isinstance(await client.create(accepted(), allowed), Created)
        assert await client.create(accepted(), lambda: False) == NotSent()
        assert len((await client.look_up("batch")).hospitals) == 1
        assert isinstance(await client.create(accepted(3), allowed), Created)


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (404, {"detail": "no such batch"}, {}, Listed(())),
        (200, [], {}, Listed(())),
        (500, {"detail": "boom"}, {}, LookupFailed("boom")),
        (200, {"items": 1}, {}, LookupFailed("the look-up's answer is not a list")),
        (200, {"items": [], "next": "/2"}, {}, Listed((), whole=False)),
        (200, [], {"Link": '</2>; rel="next"'}, Listed((), whole=False)),
        (200, [{"name": "without id"}], {}, Listed((), whole=False)),
    ],
)
async def test_a_look_up_says_no_more_than_it_shows(status, body, headers, expected):
    """Nothing found is only nothing there when the whole batch was shown."""
    async with answering(fixed(status, body, **headers)) as url, directory(url) as client:
        assert await client.look_up("batch") == expected


async def test_a_look_up_without_an_answer_says_nothing():
    """Neither present nor absent."""
    async with Sandbox() as sandbox, directory(sandbox.base_url, hospital_api_timeout=0.3) as client:
        sandbox.inject(latency_ms=2000)
        assert isinstance(await client.look_up("batch"), LookupFailed)


async def test_a_batch_that_the_directory_does_not_know_cannot_be_activated():
    """Asking again would not make it."""
    async with Sandbox() as sandbox, directory(sandbox.base_url) as client:
        assert isinstance(await client.activate("nowhere"), Rejected)


async def test_the_token_is_sent():
    """As a bearer token."""
    async with Sandbox() as sandbox:
        sandbox.inject(token="secret")
        async with directory(sandbox.base_url) as client:
            assert isinstance(await client.create(accepted(), allowed), ServiceRejected)
        async with directory(sandbox.base_url, hospital_api_token="secret") as client:
            assert isinstance(await client.create(accepted(), allowed), Created)


async def test_a_client_outside_its_context_is_a_mistake():
    """Not a call that was never sent."""
    client = DirectoryClient(DirectorySettings())
    with pytest.raises(RuntimeError, match="context"):
        await client.look_up("batch")
