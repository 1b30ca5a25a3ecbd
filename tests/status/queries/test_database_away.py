"""A database that stops answering: callers get a 503 within 2 s, and it is used again when it is back."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.status.queries.read_database import CONNECTIONS
from services.status.tables.schema_version import check_schema, migrate
from shared.runtime.databases import create_engine, database_url
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from shared.runtime.http.health import health_routes
from tests.support.status.job_histories import JobHistory, apply_events
from tests.support.status.status_api import api_client

PATHS = [
    "/status/job-1",
    "/jobs",
    *(f"/jobs/job-1/{each}" for each in ("rows", "batches", "events", "successful.csv", "failed.csv")),
]


class TcpProxy:
    """A TCP connection to the database that can fall silent without closing."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._flowing = asyncio.Event()
        self._flowing.set()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        with suppress(asyncio.CancelledError):  # the test is over
            await asyncio.gather(self._pass_on(reader, there_writer), self._pass_on(there_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(url: str):
    """The database's URL by way of a wire, and the wire."""
    parts = urlsplit(url)
    proxy = TcpProxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.connect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    yield urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}")), proxy
    proxy.thaw()
    server.close()


@pytest.mark.parametrize("pooled", [True, False])
async def test_a_database_that_falls_silent_is_503_within_2_seconds_and_used_again_afterwards(postgres_url, pooled):
    """With a connection that was good a moment before, and with one still to be made."""
    direct = create_engine(database_url(postgres_url))
    await migrate(direct)
    await apply_events(direct, JobHistory().accepted())
    async with proxied(postgres_url) as (url, proxy):
        engine = create_engine(database_url(url))
        async with api_client(engine, answer_seconds=ANSWER_SECONDS) as api:
            if pooled:
                assert (await api.get("/status/job-1")).status_code == 200
            proxy.freeze()
            began = time.monotonic()
            answer = await api.get("/status/job-1")
            assert (answer.status_code, answer.json()["error_type"]) == (503, "database_unavailable")
            assert time.monotonic() - began < 2.0
            proxy.thaw()
            assert (await api.get("/status/job-1")).status_code == 200
        await engine.dispose()
    await direct.dispose()


async def test_a_silent_database_is_503_within_2_seconds_on_every_route(postgres_url):
    """All of them at once: who waits for a free connection waits on the same budget."""
    direct = create_engine(database_url(postgres_url))
    await migrate(direct)
    await apply_events(direct, JobHistory().accepted())
    async with proxied(postgres_url) as (url, proxy):
        engine = create_engine(database_url(url), CONNECTIONS, reading=True)
        async with api_client(engine, answer_seconds=ANSWER_SECONDS) as api:
            await api.database.warm_up(lambda connection: connection.execute(text("SELECT 1")).all())
            proxy.freeze()
            for answer, seconds in await asyncio.gather(*(asked(api, path) for path in PATHS)):
                assert (answer.status_code, answer.json()["error_type"]) == (503, "database_unavailable")
                assert seconds < 2.0
            proxy.thaw()
        await engine.dispose()
    await direct.dispose()


async def asked(api, path):
    """The answer, and how long it took."""
    began = time.monotonic()
    return await api.get(path), time.monotonic() - began


async def test_readiness_names_a_silent_database_within_its_2_seconds(postgres_url):
    """A driver that hangs while it cleans up must not hang the answer."""
    direct = create_engine(database_url(postgres_url))
    await migrate(direct)
    await direct.dispose()
    async with proxied(postgres_url) as (url, proxy):
        engine = create_engine(database_url(url))
        app = FastAPI()
        app.include_router(health_routes({"database": lambda: check_schema(engine)}))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as http:
            assert (await http.get("/health/ready")).json()["dependencies"]["database"]["status"] == "ok"
            proxy.freeze()
            began = time.monotonic()
            answer = await http.get("/health/ready")
            assert (answer.status_code, answer.json()["dependencies"]["database"]["status"]) == (503, "unavailable")
            assert time.monotonic() - began < 2.5
        proxy.thaw()
        await engine.dispose()
