"""Bodies that do not come, or never end, on a real socket."""

import asyncio
import json

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from shared.runtime.http.problems import answer_with_problems
from shared.runtime.http.small_bodies import SmallBodies
from tests.support.ingest.ingest_server import served
from tests.support.ingest.raw_upload import raw_request

BODY = b'{"name": "Mercy"}'
HEAD = (
    b"POST /named HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 17\r\n"
)


class Named(BaseModel):
    """What the route reads."""

    name: str


@pytest.fixture
async def port():
    """Of a server with a route that reads a body, and one that does not."""
    app = FastAPI()
    answer_with_problems(app)
    app.add_middleware(SmallBodies, seconds=0.4, max_bytes=100)

    @app.post("/named")
    async def named(body: Named) -> str:
        await asyncio.sleep(0.6)  # what is done with it takes its own time
        return body.name

    @app.post("/unread")
    async def unread() -> str:
        return "not read"

    async with served(app) as url:
        yield int(url.rsplit(":", 1)[1])


@pytest.mark.parametrize(
    "sent",
    [HEAD + b"\r\n", HEAD + b"Expect: 100-continue\r\n\r\n", HEAD + b"\r\n{"],
    ids=["nothing", "nothing after it asked", "one byte"],
)
async def test_a_body_that_does_not_come_is_408(port, sent):
    """As a problem document, in bounded time."""
    async with asyncio.timeout(10):
        answer = await raw_request(port, sent)
    if b"Expect" in sent:
        assert answer.status == 100
        assert b" 408 " in answer.body.partition(b"\r\n")[0]
        return
    assert (answer.status, json.loads(answer.body)["error_type"]) == (408, "request_timeout")


async def test_a_body_that_drips_is_408(port):
    """The time is for all of it: what is small comes at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # On a connection that stays: one that is closed while the client sends may lose the answer.
    writer.write(HEAD.replace(b"Connection: close", b"X: x").replace(b"17", b"99") + b"\r\n")
    async with asyncio.timeout(10):
        answered = asyncio.create_task(reader.readuntil(b"\r\n"))
        while not answered.done():
            writer.write(b" ")
            await asyncio.sleep(0.1)
        assert b" 408 " in await answered
    writer.close()


async def test_a_client_that_sends_all_before_it_reads_gets_its_answer(port):
    """Closing the connection on bytes that nobody has read would throw the answer away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        writer.write(HEAD.replace(b"17", b"5000000") + b"\r\n")
        for _ in range(50):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert b" 413 " in await reader.readuntil(b"\r\n")
    writer.close()


@pytest.mark.parametrize("length", [b"Content-Length: 101", b"Transfer-Encoding: chunked"])
async def test_a_body_that_is_too_large_is_413(port, length):
    """Said before or not."""
    sent = b"65\r\n" + b"x" * 101 if b"chunked" in length else b"x" * 101
    answer = await raw_request(port, HEAD.replace(b"Content-Length: 17", length) + b"\r\n" + sent)
    assert (answer.status, json.loads(answer.body)["error_type"]) == (413, "body_too_large")


async def test_a_body_that_comes_is_read_and_a_slow_answer_is_waited_for(port):
    """Only the body is timed."""
    answer = await raw_request(port, HEAD + b"\r\n" + BODY)
    assert (answer.status, answer.body) == (200, b'"Mercy"')


async def test_a_body_that_nobody_reads_is_not_waited_for(port):
    """The answer comes at once."""
    answer = await raw_request(port, HEAD.replace(b"named", b"unread") + b"\r\n")
    assert (answer.status, answer.body) == (200, b'"not read"')
