"""The send guard: asked whether a call may be sent, right before its first byte is written.

A process that was frozen after it chose a row must not send it when it thaws. So the permit is checked again as late
as aiohttp allows:

- A request with a body is written in a task of its own, and its headers go out with the body's first bytes. There the
  body itself asks the guard.
- A request without a body is written as soon as it has a connection. There a trace asks the guard.

If the guard says no, nothing is sent. After it has said yes, whatever goes wrong may have reached the directory.
"""

from asyncio import BaseTransport
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from services.processor.directory.sockets import drop_unsent

#: True = send.
SendGuard = Callable[[], bool]


class SendForbidden(Exception):
    """The send guard said no: nothing was sent."""


class GuardedCall:
    """One call and what its send guard said: `sent` when it said yes, `forbidden` when it said no."""

    __slots__ = ("_guard", "_transport", "forbidden", "sent")

    def __init__(self, guard: SendGuard) -> None:
        self._guard = guard
        self.sent = False
        self.forbidden = False
        self._transport: BaseTransport | None = None

    def check(self) -> None:
        """Asks the guard; the first byte has to follow at once. Raises SendForbidden when the guard says no."""
        self.forbidden = not self._guard()
        if self.forbidden:
            raise SendForbidden
        self.sent = True

    def written_to(self, transport: BaseTransport | None) -> None:
        """The connection that the call's bytes go to."""
        self._transport = transport

    def give_up(self) -> None:
        """Nobody waits for the answer any more: what the kernel still holds of the call is not sent."""
        drop_unsent(self._transport)


class GuardedBody(aiohttp.BytesPayload):
    """A JSON body that asks its call's guard before it is written."""

    def __init__(self, body: bytes, call: GuardedCall) -> None:
        super().__init__(body, content_type="application/json")
        self._call = call

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """aiohttp calls this when the request has its connection."""
        self._call.check()
        self._call.written_to(getattr(writer, "transport", None))
        await super().write_with_length(writer, content_length)


def guard_without_body() -> aiohttp.TraceConfig:
    """A trace that asks the guard of calls without a body. Their `trace_request_ctx` has to be the GuardedCall."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_check)
    trace.on_connection_reuseconn.append(_check)
    return trace


async def _check(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    call: GuardedCall = context.trace_request_ctx
    call.check()
