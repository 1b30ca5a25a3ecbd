"""What goes through the origin comes out as it went in."""

import asyncio
import contextlib
import hashlib
import http.client
import os
import socket
import time

import aiohttp
import pytest
from aiohttp import web

from tests.deploy.origin.origin_upstreams import origin, upstream


def naming(name):
    """A server that says who it is and what it was asked."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        return web.json_response(
            {
                "service": name,
                "method": request.method,
                "target": request.raw_path,
                "headers": {key.lower(): value for key, value in request.headers.items()},
                "body": body.decode("latin-1"),
            }
        )

    return answer


@pytest.fixture
async def named():
    """An origin whose ingest and status say which of the two they are."""
    async with (
        upstream(naming("ingest")) as ingest,
        upstream(naming("status")) as status,
        origin(ingest=ingest, status=status) as running,
    ):
        yield running.url


@pytest.fixture
async def session():
    """A client that neither follows redirects nor unpacks."""
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/v1/hospitals/bulk", "ingest"),
        ("/api/v1/hospitals/validate", "ingest"),
        ("/api/v1/hospitals/bulk?allow_duplicates=true", "ingest"),
        ("/api/v1/hospitals/bulk/", "status"),
        ("/api/v1/hospitals/bulk/batch/abc/activate", "status"),
        ("/api/v1/hospitals/status/abc", "status"),
        ("/", "status"),
        ("/favicon.ico", "status"),
    ],
)
async def test_the_two_paths_that_take_a_file_go_to_ingest_and_the_rest_to_status(named, session, path, service):
    """Exactly the two: what lies below them is status's."""
    async with session.get(named + path) as answer:
        found = await answer.json()
    assert (found["service"], found["target"]) == (service, path)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_every_method_passes(named, session, method):
    """The origin has no opinion about methods."""
    async with session.request(method, f"{named}/api/v1/x") as answer:
        assert (await answer.json())["method"] == method


async def test_a_head_request_is_answered_without_a_body(named, session):
    """With the headers that a GET would have."""
    async with session.head(f"{named}/") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")


async def test_path_and_query_pass_byte_for_byte(named):
    """Escapes are not read, not normalised and not doubled."""
    target = "/api/v1/a%2Fb%20c/x%3F?q=%C3%A9+%26&cursor=a%3D%3D&empty="
    assert f'"target": "{target}"' in await raw(named, f"GET {target} HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("target", ["@127.0.0.1:1/secret", "http://127.0.0.1:1/secret", "%2F@127.0.0.1:1/secret"])
async def test_a_target_without_a_leading_slash_reaches_no_server(named, target):
    """`GET @elsewhere` must not turn the origin into a proxy for the world."""
    answer = await raw(named, f"GET {target} HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n")
    assert answer.startswith(("HTTP/1.1 400", "HTTP/1.1 404"))
    assert "application/problem+json" in answer


async def test_request_headers_pass_but_those_of_the_connection(named, session):
    """Idempotency-Key, cookies and the like arrive; what Connection names does not."""
    sent = {
        "Idempotency-Key": '"käse-1"',
        "Cookie": "session=a; b=c",
        "X-API-Key": "k",
        "Last-Event-ID": "7",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
    }
    async with session.get(f"{named}/", headers=sent) as answer:
        got = (await answer.json())["headers"]
    assert {key.lower(): got.get(key.lower()) for key in sent} == {
        "idempotency-key": '"käse-1"',
        "cookie": "session=a; b=c",
        "x-api-key": "k",
        "last-event-id": "7",
        "connection": got.get("connection"),
        "x-hop": None,
        "te": None,
    }


async def test_a_service_learns_who_asked_and_where(named, session):
    """In X-Forwarded-*, the Host as it was sent."""
    async with session.get(f"{named}/", headers={"Host": "hospitals.example", "X-Forwarded-For": "10.0.0.9"}) as answer:
        got = (await answer.json())["headers"]
    wanted = ("hospitals.example", "10.0.0.9", "http", "hospitals.example")
    assert tuple(got[f] for f in ("host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")) == wanted


async def test_nothing_is_added_to_a_request_that_was_not_sent(named):
    """No Accept-Encoding above all: the client could not unpack what it did not ask for."""
    answer = await raw(named, "GET / HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n")
    assert not any(name in answer for name in ('"accept-encoding"', '"user-agent"', '"content-type":', '"accept"'))


async def test_an_answers_headers_pass_repeated_ones_too(session):
    """Location, Retry-After, each cookie; an error and a redirect stay what they are, a packed body stays packed."""

    async def answer(_: web.Request) -> web.Response:
        packed = web.Response(status=303, body=b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})
        packed.headers.update({"Location": "/api/v1/x", "Retry-After": "5", "Connection": "X-Hop", "X-Hop": "1"})
        packed.headers.add("Set-Cookie", "a=1; HttpOnly")
        packed.headers.add("Set-Cookie", "b=2")
        return packed

    async with (
        upstream(answer) as status,
        origin(status=status) as running,
        session.get(running.url, allow_redirects=False) as got,
    ):
        assert (got.status, await got.read()) == (303, b"\x1f\x8bnot really")
        assert got.headers.getall("Set-Cookie") == ["a=1; HttpOnly", "b=2"]
        assert (got.headers["Location"], got.headers["Retry-After"]) == ("/api/v1/x", "5")
        assert "X-Hop" not in got.headers
        assert len(got.headers.getall("Date")) == len(got.headers.getall("Server")) == 1


async def test_an_upload_of_150_mb_passes_without_being_kept(session):
    """The service reads the first bytes while the client still holds back the last ones."""
    chunk, count, seen = os.urandom(1 << 20), 150, asyncio.Event()

    async def digest(request: web.Request) -> web.Response:
        digest, size = hashlib.sha256(), 0
        async for part in request.content.iter_any():
            seen.set()
            digest.update(part)
            size += len(part)
        return web.json_response({"sha256": digest.hexdigest(), "size": size})

    async def body():
        yield chunk
        await asyncio.wait_for(seen.wait(), 5)
        for _ in range(count - 1):
            yield chunk

    async with (
        upstream(digest) as ingest,
        origin(ingest=ingest) as running,
        session.post(f"{running.url}/api/v1/hospitals/bulk", data=body()) as answer,
    ):
        got = await answer.json()
    assert got == {"sha256": hashlib.sha256(chunk * count).hexdigest(), "size": count << 20}


async def test_a_service_that_reads_slowly_holds_up_the_client(session):
    """Nothing piles up in the origin: a client may be ahead of the service by buffers, not by megabytes."""
    sent, chunk, go_on = 0, b"x" * (1 << 16), asyncio.Event()

    async def waiting(request: web.Request) -> web.Response:
        await go_on.wait()
        return web.json_response(len(await request.read()))

    async def body():
        nonlocal sent
        for _ in range(1600):
            sent += len(chunk)
            yield chunk

    async with upstream(waiting) as ingest, origin(ingest=ingest) as running:
        posting = asyncio.create_task(session.post(f"{running.url}/api/v1/hospitals/bulk", data=body()))
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        held_back = sent
        go_on.set()
        async with await posting as answer:
            assert await answer.json() == 1600 << 16
    assert held_back < 40 << 20


async def test_events_pass_as_they_happen_and_the_service_learns_when_the_reader_leaves(session):
    """Each one at once, though the answer has no end; closing the page ends the service's work."""
    left, next_one = asyncio.Event(), asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await stream.prepare(request)
        try:
            await stream.write(b"data: 1\n\n")
            await next_one.wait()
            await stream.write(b"data: 2\n\n")
            await asyncio.sleep(60)
        finally:
            left.set()
        return stream

    async with upstream(events) as status, origin(status=status) as running:
        async with session.get(f"{running.url}/api/v1/hospitals/jobs/1/events") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert await asyncio.wait_for(answer.content.readany(), 5) == b"data: 1\n\n"
            next_one.set()
            assert await asyncio.wait_for(answer.content.readany(), 5) == b"data: 2\n\n"
            answer.close()
        await asyncio.wait_for(left.wait(), 5)


async def test_a_service_learns_that_an_upload_was_broken_off():
    """A half-sent body never looks like a whole one."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def reading(request: web.Request) -> web.Response:
        try:
            ended.set_result(f"{len(await request.read())} bytes")
        except (OSError, aiohttp.ClientError, asyncio.CancelledError) as error:
            ended.set_result(type(error).__name__)
            raise
        return web.Response()

    async with upstream(reading) as ingest, origin(ingest=ingest) as running:
        _, writer = await connect(running.url)
        writer.write(b"POST /api/v1/hospitals/bulk HTTP/1.1\r\nHost: o\r\nContent-Length: 1000000\r\n\r\nname,address")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()
        assert "bytes" not in await asyncio.wait_for(ended, 5)


@pytest.mark.parametrize("hangs_up", [True, False], ids=["and hangs up", "and reads on"])
async def test_an_answer_before_the_end_of_the_upload_reaches_the_client(hangs_up):
    """A 413 is read, not lost in a broken connection, also by a client that sends all before it reads anything."""

    async def too_large(request: web.Request) -> web.StreamResponse:
        answer = web.json_response({"title": "too large"}, status=413)
        if hangs_up:
            answer.force_close()
        await answer.prepare(request)
        await answer.write_eof()
        if not hangs_up:
            await request.read()
        return answer

    async with upstream(too_large) as ingest, origin(ingest=ingest) as running:
        for _ in range(5):
            assert await asyncio.to_thread(send_all_then_read, running.url, 20 << 20) == (
                413,
                b'{"title": "too large"}',
            )


def send_all_then_read(url: str, size: int) -> tuple[int, bytes]:
    """As most HTTP clients do."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        connection.request("POST", "/api/v1/hospitals/bulk", body=bytes(size))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("sent", [b"", b"name"], ids=["never begins", "stops"])
async def test_a_body_that_does_not_come_is_408_and_the_service_is_let_go(sent):
    """The origin waits no longer than it says, also for a service that never gives up."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def patient(request: web.Request) -> web.Response:
        try:
            return web.Response(body=await request.read())
        finally:
            ended.set_result(None)

    async with upstream(patient) as ingest, origin({"body_seconds": 0.3}, ingest=ingest) as running:
        reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
        head = b"POST /api/v1/hospitals/bulk HTTP/1.1\r\nHost: o\r\nContent-Length: 1000000\r\n\r\n"
        writer.write(head + sent)
        async with asyncio.timeout(10):
            answered = await reader.readuntil(b"}")
            assert b" 408 " in answered.partition(b"\r\n")[0]
            assert b"request_timeout" in answered
            await ended
        writer.close()


async def test_a_service_that_answers_without_the_body_is_heard_at_once():
    """The client is silent, and the service does not want its body: neither waits for the other."""

    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"title": "no"}, status=401)

    async with upstream(refuse) as ingest, origin({"body_seconds": 60}, ingest=ingest) as running:
        reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
        writer.write(b"POST /api/v1/hospitals/bulk HTTP/1.1\r\nHost: o\r\nContent-Length: 1000000\r\n\r\n")
        async with asyncio.timeout(10):
            assert b" 401 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize("path", ["/api/v1/hospitals/bulk", "/api/v1/hospitals/jobs"])
async def test_a_service_that_is_down_is_503_with_advice(session, path):
    """As a problem document, soon, and also in the middle of an upload."""
    began = time.monotonic()
    async with origin() as running, session.post(running.url + path, data=b"x" * 3_000_000) as answer:
        problem = await answer.json()
    assert (answer.status, answer.content_type) == (503, "application/problem+json")
    assert problem["error_type"] == "service_unavailable"
    assert ("ingest" if path.endswith("bulk") else "status") in problem["detail"]
    assert answer.headers["Retry-After"] == "5"
    assert time.monotonic() - began < 3


async def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(session, caplog):
    """The client gets an error, not half a file that looks whole; the log a line, not a stack trace."""

    async def breaking_off(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b"row,name\n")
        assert request.transport is not None
        request.transport.abort()
        return stream

    async with (
        upstream(breaking_off) as status,
        origin(status=status) as running,
        session.get(f"{running.url}/api/v1/hospitals/jobs/1/failed.csv") as answer,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert "Traceback" not in caplog.text


async def test_a_service_that_comes_back_is_used_at_once(session):
    """Nothing has to be restarted."""
    async with origin() as running:
        async with session.get(running.url) as answer:
            assert answer.status == 503
        port = int(running.services["status"].rsplit(":", 1)[1])
        runner = web.ServerRunner(web.Server(naming("status"), access_log=None), shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with session.get(running.url) as answer:
            assert (await answer.json())["service"] == "status"
        await runner.cleanup()


async def connect(url: str):
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def raw(url: str, request: str) -> str:
    """Sends these bytes and gives back all that is answered."""
    reader, writer = await connect(url)
    writer.write(request.encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with contextlib.suppress(OSError, socket.error):
        await writer.wait_closed()
    return answer.decode()
