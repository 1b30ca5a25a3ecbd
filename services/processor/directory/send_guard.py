"""The gate in front of a call: asked when the connection is there, right before the first byte is written.

aiohttp writes a request with a body in a task of its own, and the headers go out with the body's first bytes: so the
body itself asks. A process that was frozen before that must not send when it thaws. A request without a body is
written as soon as it has a connection: there a trace asks. If the gate refuses, nothing is sent. That is also where
"never sent" ends: whatever goes wrong afterwards may have reached the directory.
"""

from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractStreamWriter

#: True = send.
Gate = Callable[[], bool]


class GateClosed(Exception):
    """Nothing was sent."""


class Passage:
    """Whether a call has passed its gate."""

    __slots__ = ("_gate", "passed", "refused")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.passed = False
        self.refused = False

    def ask(self) -> None:
        """What comes next is the first byte. Raises GateClosed when the gate refuses."""
        self.refused = not self._gate()
        if self.refused:
            raise GateClosed
        self.passed = True


class GatedBody(aiohttp.BytesPayload):
    """A JSON body that goes through a gate."""

    def __init__(self, body: bytes, passage: Passage) -> None:
        super().__init__(body, content_type="application/json")
        self._passage = passage

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """aiohttp calls this when the connection is there."""
        self._passage.ask()
        await super().write_with_length(writer, content_length)


def gated_without_body() -> aiohttp.TraceConfig:
    """For calls without a body: their `trace_request_ctx` is their passage."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_ask)
    trace.on_connection_reuseconn.append(_ask)
    return trace


async def _ask(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    passage: Passage = context.trace_request_ctx
    passage.ask()
