"""Handles every call to /hospitals: logs it, asks for its fault plan, and carries the plan out over HTTP."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from deploy.local.sandbox.directory import Directory
from deploy.local.sandbox.fault_plan import Answered, Call, Dropped, Effect, FaultPlan, Refused, Silent

DISCONNECT_POLL_SECONDS = 0.5
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Reply:
    """The directory's answer when no fault changes it."""

    content: object
    status: int = 200


Work = Callable[[str], Reply]
"""Does what the call asks for. Its argument is what the caller will see: answered, refused, dropped, silent or late."""


class RequestHandler:
    """Once ``closing`` is set, calls that would never be answered end, so that the server can stop."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._late: set[asyncio.TimerHandle] = set()
        self.closing = asyncio.Event()

    @property
    def late_pending(self) -> int:
        """The number of late creations that are still to happen."""
        return len(self._late)

    def cancel_late(self) -> None:
        for handle in self._late:
            handle.cancel()
        self._late.clear()

    def close(self) -> None:
        self.closing.set()
        self.cancel_late()

    async def handle(self, request: web.Request, route: str, call: Call, work: Work) -> web.StreamResponse:
        """Carries out the call by its fault plan. Like a real directory it goes on when the caller disconnects."""
        request_log = self._directory.request_log
        arrived = request_log.begin()
        port = remote_port(request)
        status = "gone"
        try:
            plan = self._directory.plan(call, arrived)
            if plan.delay:
                await asyncio.sleep(plan.delay)
            reply = self._do(plan, work)
            status = status_of(plan, reply)
            return await self._end(request, plan, reply)
        finally:
            request_log.finish(arrived, request.method, route, status, port)

    def _do(self, plan: FaultPlan, work: Work) -> Reply | None:
        if plan.effect is Effect.NOW:
            return work(type(plan.ending).__name__.lower())
        if plan.effect is Effect.LATE:
            self._do_later(plan.effect_delay, work)
        return None

    def _do_later(self, seconds: float, work: Work) -> None:
        def act() -> None:
            self._late.discard(handle)
            work("late")

        handle = asyncio.get_running_loop().call_later(seconds, act)
        self._late.add(handle)

    async def _end(self, request: web.Request, plan: FaultPlan, reply: Reply | None) -> web.StreamResponse:
        match plan.ending:
            case Answered():
                return await self._answer(request, reply or Reply(None))
            case Refused(status, detail, retry_after):
                headers = None if retry_after is None else {"Retry-After": str(retry_after)}
                return json_response({"detail": detail}, status, headers)
            case Silent():
                await self._wait_for_disconnect(request)
                return dropped(request)
            case Dropped():
                return dropped(request)

    async def _answer(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        drip = self._directory.faults.drip_ms / 1000
        response = json_response(reply.content, reply.status)
        return await self._drip(request, response, drip) if drip else response

    async def _drip(self, request: web.Request, whole: web.Response, seconds: float) -> web.StreamResponse:
        body = whole.body
        assert isinstance(body, bytes)  # noqa: S101 - json_response makes bytes
        slow = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
        slow.content_length = len(body)
        await slow.prepare(request)
        for byte in body:
            try:
                await slow.write(bytes([byte]))
            except ConnectionError:
                return slow
            await self._closing_within(seconds)
        return slow

    async def _wait_for_disconnect(self, request: web.Request) -> None:
        while is_connected(request) and not await self._closing_within(DISCONNECT_POLL_SECONDS):
            pass

    async def _closing_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return False
        return True


def status_of(plan: FaultPlan, reply: Reply | None) -> str:
    """What the caller saw, for the request log: an HTTP status, ``dropped`` or ``silent``."""
    match plan.ending:
        case Answered():
            return str(reply.status) if reply else "200"
        case Refused(status, _, _):
            return str(status)
        case ending:
            return type(ending).__name__.lower()


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = ENCODER.encode(content).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def remote_port(request: web.Request) -> int:
    """The caller's port; 0 when it has disconnected already."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return peer[1] if peer else 0


def is_connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def dropped(request: web.Request) -> web.Response:
    """Closes the connection. aiohttp needs the response, but cannot write it any more."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
