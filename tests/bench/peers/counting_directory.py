"""A directory that counts what it creates. It answers after a while, or carries a call out and never answers it."""

import asyncio
import random
from collections import Counter, defaultdict
from typing import Any

from aiohttp import web


class CountingDirectory:
    """`latency`: in seconds. `lost`: how many of a hundred creations are carried out and not answered."""

    def __init__(self, latency: float, lost: float, seed: int) -> None:
        self.created: Counter[str] = Counter()
        self.calls = 0
        self.url = ""
        self._latency = latency
        self._lost = lost
        self._chance = random.Random(seed)
        self._batches: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "CountingDirectory":
        app = web.Application()
        app.router.add_post("/hospitals/", self._create)
        app.router.add_get("/hospitals/batch/{batch}", self._look_up)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        [socket] = site._server.sockets  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        body = await request.json()
        await asyncio.sleep(self._latency * (0.5 + self._chance.random()))
        self.created[body["name"]] += 1
        hospital = {**body, "id": self.created.total(), "active": False}
        self._batches[body["creation_batch_id"]].append(hospital)
        if self._chance.random() * 100 < self._lost and request.transport is not None:
            request.transport.abort()
        return web.json_response(hospital, status=201)

    async def _look_up(self, request: web.Request) -> web.Response:
        return web.json_response(self._batches[request.match_info["batch"]])
