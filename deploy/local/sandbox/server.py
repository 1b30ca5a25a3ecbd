"""The sandbox as one HTTP server, in this process or in one of its own."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from deploy.local.sandbox.admin import Admin
from deploy.local.sandbox.api import HospitalsApi
from deploy.local.sandbox.directory import Directory
from deploy.local.sandbox.faults import Faults
from deploy.local.sandbox.hospitals import Hospitals
from deploy.local.sandbox.request_handler import RequestHandler
from deploy.local.sandbox.request_log import RequestLog

PAGE = Path(__file__).with_name("page.html")
PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:",
    "Cache-Control": "no-store",
}


class Sandbox:
    """A hospital directory for ``async with``: listens on entry, stops on exit. Port 0 takes a free one.

    ``hospitals``, ``request_log``, ``faults`` and ``inject(...)`` are the state itself.
    Raises ``OSError`` on entry when the port is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host, self._port = host, port
        self._directory = Directory()
        self._handler = RequestHandler(self._directory)
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        self._reopening: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """Without a slash at its end; known once it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def hospitals(self) -> Hospitals:
        return self._directory.hospitals

    @property
    def request_log(self) -> RequestLog:
        return self._directory.request_log

    @property
    def late_pending(self) -> int:
        """The number of late creations that are still to happen."""
        return self._handler.late_pending

    @property
    def faults(self) -> Faults:
        return self._directory.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._directory.faults = faults

    def inject(self, **changes: object) -> None:
        """Changes the named faults, leaves the others: ``inject(latency_ms=50, lose_answer=0.2)``."""
        self._directory.inject(**changes)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await self._listen()
        except OSError:
            await self._runner.cleanup()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handler.close()
        if self._reopening is not None:
            self._reopening.cancel()
        self._close_connections(None)
        await self._runner.cleanup()

    async def refuse(self, seconds: float, caller: web.Request | None = None) -> None:
        """Closes the port and every connection (save the caller's own), and listens again ``seconds`` later."""
        if self._reopening is not None:
            self._reopening.cancel()
        for site in list(self._runner.sites):
            await site.stop()
        self._close_connections(caller)
        self._reopening = asyncio.create_task(self._reopen_in(seconds))

    async def _reopen_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            try:
                return await self._listen()
            except OSError:  # somebody else holds the port for a moment
                await asyncio.sleep(0.1)

    async def _listen(self) -> None:
        await web.TCPSite(self._runner, self._host, self._port, backlog=1_024).start()
        self._port = self._runner.addresses[0][1]

    def _close_connections(self, caller: web.Request | None) -> None:
        server = self._runner.server
        for connection in list(server.connections) if server else ():
            if connection.transport is not None and (caller is None or connection is not caller.protocol):
                connection.transport.abort()

    def _app(self) -> web.Application:
        app = web.Application()
        HospitalsApi(self._directory, self._handler).add_to(app.router)
        Admin(self._directory, self._handler, self.refuse).add_to(app.router)
        app.router.add_get("/", page)
        return app


async def page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE, headers=PAGE_HEADERS)
