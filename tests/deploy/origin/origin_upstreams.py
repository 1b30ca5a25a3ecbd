"""Small real servers, and an origin in front of them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from aiohttp import web

from deploy.local.ports import free_port
from deploy.origin.api import create_app
from deploy.origin.forwarding import client_session

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Origin:
    """A running origin and the addresses that it knows."""

    url: str
    services: dict[str, str]


@contextlib.asynccontextmanager
async def upstream(answer: Answer) -> AsyncIterator[str]:
    """A server that answers every path by one function; yields its address."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def origin(options: Mapping[str, Any] | None = None, /, **services: str) -> AsyncIterator[Origin]:
    """The origin, served by uvicorn as in production; a service not named is down. `options`: of create_app."""
    addresses = {name: services.get(name, down()) for name in ("ingest", "status", "processor")}
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(client_session(), addresses, **(options or {})), log_config=None, timeout_graceful_shutdown=1
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield Origin(f"http://127.0.0.1:{listening.getsockname()[1]}", addresses)
    finally:
        server.should_exit = True
        await serving


def down() -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


def json_answer(status: int, body: object) -> Answer:
    """A server that always says the same."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer
