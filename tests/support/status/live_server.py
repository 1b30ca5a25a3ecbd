"""The API on a real socket, with watchers that read event streams from it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from tests.support.status.status_api import ApiClient


@dataclass(frozen=True)
class ServerEvent:
    """An event as a reader gets it."""

    id: str
    name: str
    data: dict[str, Any]


@asynccontextmanager
async def serve_api(api: ApiClient, send_buffer: int | None = None) -> AsyncIterator[str]:
    """The API's address; watchers get changes. `send_buffer`: how many bytes the kernel keeps for a reader."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    if send_buffer:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # its connections inherit it
    server = uvicorn.Server(uvicorn.Config(api.app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    serving, looking = (
        asyncio.create_task(server.serve(sockets=[listening])),
        asyncio.create_task(api.job_watchers.run()),
    )
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        looking.cancel()
        server.should_exit = True
        await serving


class NotWatched(Exception):
    """The service did not open the stream: its answer."""


@asynccontextmanager
async def watch_job(
    url: str, job_id: str = "job-1", last_id: str | None = None, **more: Any
) -> AsyncIterator[AsyncIterator[ServerEvent]]:
    """The job's events, one after the other; they end when the stream does."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with (
        httpx.AsyncClient(timeout=30) as http,
        http.stream("GET", f"{url}/api/v1/hospitals/jobs/{job_id}/events", headers=headers, **more) as answer,
    ):
        if answer.status_code != 200:
            raise NotWatched(f"{answer.status_code}: {(await answer.aread()).decode()}")
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield parse_events(answer.aiter_lines())


async def parse_events(lines: AsyncIterator[str]) -> AsyncIterator[ServerEvent]:
    """The events in the lines of a stream; comments are none."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "data" in fields:
            yield ServerEvent(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
