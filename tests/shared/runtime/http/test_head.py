"""HEAD: what GET answers, without its body."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from shared.runtime.http.head import HeadAnswers
from shared.runtime.http.problems import answer_with_problems


@pytest.fixture
def client():
    """An app with a file, an endless stream, and a route that only takes POST."""
    app = FastAPI()
    answer_with_problems(app)
    app.add_middleware(HeadAnswers)

    @app.get("/file")
    async def file() -> Response:
        return Response(b"a,b\n", media_type="text/csv", headers={"Content-Disposition": "attachment"})

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def pieces():
            while True:
                yield b"x"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/plain")

    @app.post("/upload")
    async def upload() -> None:
        """Takes something."""

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


async def test_head_has_the_headers_of_get(client):
    """Its length too, so that a download's size is known before."""
    got, head = await client.get("/file"), await client.head("/file")
    assert head.content == b""
    assert (head.status_code, dict(head.headers)) == (got.status_code, dict(got.headers))


async def test_head_of_a_stream_ends(client):
    """Nobody would read the rest."""
    async with asyncio.timeout(5):
        answer = await client.head("/endless")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(("path", "status"), [("/upload", 405), ("/nothing", 404)])
async def test_where_get_is_not_head_is_not(client, path, status):
    """The same refusal, without its words."""
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (status, b"")
