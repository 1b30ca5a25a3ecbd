"""Connections on which no whole request arrives, on a real socket."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from functools import partial

import pytest
import uvicorn
from fastapi import FastAPI, Request

from shared.runtime.http.problems import answer_with_problems
from shared.runtime.http.request_heads import BoundedHeads

HEAD_SECONDS = 0.4
GET = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port():
    """Of a server with a quick route, a slow one, and one that reads its body."""
    app = FastAPI()
    answer_with_problems(app)

    @app.api_route("/quick", methods=["GET", "POST"])
    async def quick() -> str:
        return "quick"

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(2 * HEAD_SECONDS)
        return "slow"

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    listening = socket.create_server(("127.0.0.1", 0))
    http = partial(BoundedHeads, head_seconds=HEAD_SECONDS)
    server = uvicorn.Server(uvicorn.Config(app, http=http, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield listening.getsockname()[1]
    server.should_exit = True
    await serving


@asynccontextmanager
async def connection(port: int):
    """A bare one; whatever waits on it for over 10 s has failed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")]
    return int(head.split()[1]), await reader.readexactly(length)


async def test_who_sends_nothing_is_hung_up_on(port):
    """Without a word: a browser opens connections in advance, and would take it for the answer to its next request."""
    async with connection(port) as (reader, _):
        assert await reader.read() == b""


@pytest.mark.parametrize("before", [b"", GET], ids=["a first request", "a later request"])
async def test_half_a_head_is_408(port, before):
    """Also on a connection that was of use before: there uvicorn's own time-out ends with the first byte."""
    async with connection(port) as (reader, writer):
        writer.write(before)
        if before:
            assert await answer(reader) == (200, b'"quick"')
        writer.write(GET[:-2])
        status, body = await answer(reader)
        assert (status, json.loads(body)["error_type"]) == (408, "request_timeout")
        assert await reader.read() == b""


async def test_a_head_that_drips_is_408(port):
    """The time is for all of it."""
    async with connection(port) as (reader, writer):
        answered = asyncio.create_task(answer(reader))
        sent = 0
        while not answered.done():
            writer.write(b"G" if not sent else b"E")
            sent += 1
            await asyncio.sleep(HEAD_SECONDS / 10)
        assert (await answered)[0] == 408
    assert 3 < sent < 60


async def test_what_is_no_http_is_a_problem_document(port):
    """Like every other error."""
    async with connection(port) as (reader, writer):
        writer.write(b"hello\r\n\r\n")
        status, body = await answer(reader)
        assert (status, json.loads(body)["error_type"]) == (400, "invalid_request")


async def test_a_slow_answer_and_a_slow_body_are_no_slow_head(port):
    """Each has limits of its own."""
    async with connection(port) as (reader, writer):
        writer.write(GET.replace(b"quick", b"slow"))
        assert await answer(reader) == (200, b'"slow"')
        writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        for byte in (b"a", b"b", b"c"):
            writer.write(byte)
            await asyncio.sleep(0.6 * HEAD_SECONDS)
        assert await answer(reader) == (200, b"3")


async def test_two_requests_at_once_are_both_answered(port):
    """The second is found when the first has been answered. Then half a head is 408 as ever."""
    async with connection(port) as (reader, writer):
        writer.write(GET + GET.replace(b"quick", b"slow"))
        assert await answer(reader) == (200, b'"quick"')
        assert await answer(reader) == (200, b'"slow"')
        writer.write(GET[:5])
        assert (await answer(reader))[0] == 408


async def test_the_rest_of_an_answered_body_is_awaited_while_it_comes(port):
    """A client that sends all before it reads gets its answer; one that falls silent is hung up on."""
    async with connection(port) as (reader, writer):
        writer.write(b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert await answer(reader) == (200, b'"quick"')
        for _ in range(4):
            writer.write(b"x")
            await asyncio.sleep(0.6 * HEAD_SECONDS)
            assert not reader.at_eof()
        assert await reader.read() == b""
