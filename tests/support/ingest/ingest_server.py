"""The ingest service, served for real on a free port of this machine, inside the test's own event loop."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from opentelemetry.trace import Tracer
from structlog.testing import capture_logs

from services.ingest.publication.job_transaction import JobTransaction
from services.ingest.service import LIMITS, Limits, build
from services.ingest.settings import IngestSettings
from shared.runtime.http.request_heads import HEAD_SECONDS, BoundedHeads

UPLOAD = "/api/v1/hospitals/bulk"
VALIDATE = "/api/v1/hospitals/validate"
CSV = b"name,address,phone\nSt. Mary,1 Main St,555-0101\nMercy,2 Main St,\n"


def settings(directory: Path, **values: Any) -> IngestSettings:
    """Settings for one test; without `kafka_bootstrap_servers` nothing listens where Kafka should be."""
    defaults = {
        "kafka_bootstrap_servers": f"127.0.0.1:{_closed_port()}",
        "ingest_database_url": f"sqlite:///{directory / 'ingest.db'}",
        "http_port": 0,
    }
    return IngestSettings(**{**defaults, **values})


@asynccontextmanager
async def served(app: FastAPI, head_seconds: float = HEAD_SECONDS) -> AsyncIterator[str]:
    """The URL of the app while it is served as in production."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    http = partial(BoundedHeads, head_seconds=head_seconds)
    server = uvicorn.Server(uvicorn.Config(app, http=http, log_config=None, lifespan="on", timeout_graceful_shutdown=3))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not serving.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def ingest(
    directory: Path,
    *,
    limits: Limits = LIMITS,
    transaction_type: type[JobTransaction] = JobTransaction,
    tracer: Tracer | None = None,
    **values: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running ingest service with these settings and parts."""
    app = build(settings(directory, **values), limits, transaction_type=transaction_type, tracer=tracer)
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=None)) as client,
    ):
        yield client


@contextmanager
def ingest_in_thread(directory: Path, **values: Any) -> Iterator[str]:
    """The URL of a running ingest service, for tests without an event loop. Without Kafka it checks files.

    It logs nothing: what it writes would stand among what a command under test writes.
    """
    end = threading.Event()
    found: Future[str] = Future()

    async def run() -> None:
        try:
            async with ingest(directory, **values) as client:
                found.set_result(str(client.base_url))
                await asyncio.to_thread(end.wait)
        except BaseException as error:
            if not found.done():
                found.set_exception(error)
            raise

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    with capture_logs():
        thread.start()
        try:
            yield found.result(60)
        finally:
            end.set()
            thread.join()


async def ready(client: httpx.AsyncClient) -> None:
    """Returns when Kafka and the database are there."""
    async with asyncio.timeout(60):
        while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0.1)


async def upload(
    client: httpx.AsyncClient,
    content: bytes,
    key: str | None = "key-1",
    *,
    file_name: str = "hospitals.csv",
    path: str = UPLOAD,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
) -> httpx.Response:
    """The answer to an upload of this content."""
    sent = dict(headers or {}) | ({"Idempotency-Key": key} if key is not None else {})
    return await client.post(path, files={"file": (file_name, content, "text/csv")}, headers=sent, params=params)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
