"""A server in the directory's place that always answers alike, and a client of it."""

from contextlib import asynccontextmanager

from aiohttp import web

from services.processor.directory.client import DirectoryClient
from services.processor.settings import DirectorySettings


def allowed():
    return True


@asynccontextmanager
async def directory(url, **settings):
    """The client under test."""
    settings_given = {"hospital_api_timeout": 1.0, "hospital_api_max_connections": 1, **settings}
    async with DirectoryClient(DirectorySettings(hospital_api_base_url=url, **settings_given)) as client:
        yield client


@asynccontextmanager
async def answering(handler):
    """A server that answers everything with one handler; yields its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


def fixed(status, body=None, **headers):
    async def handler(_):
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return handler


def answer(status, text, content_type):
    async def handler(_):
        return web.Response(status=status, text=text, content_type=content_type)

    return handler
