"""Connections on which no whole request arrives. uvicorn itself would wait for one for ever."""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from shared.runtime.http.problems import Problem

#: How long a client may take to send the head of a request, and be silent while it sends what nobody reads any more.
HEAD_SECONDS: Final = 20.0


class BoundedHeads(H11Protocol):
    """uvicorn's HTTP/1.1, with problem documents for what is no request.

    `head_seconds`: how long the head of a request may take. Then 408 is answered to half a head, nothing to no byte.
    """

    def __init__(self, *arguments: Any, head_seconds: float = HEAD_SECONDS, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._head_seconds = head_seconds
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio.Protocol."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """asyncio.Protocol."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()  # whoever answers the request watches its body
        elif self.conn.their_state is h11.SEND_BODY:
            self._stop_waiting()  # the rest of a body that was answered already: as long as it goes on
            self._wait()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio.Protocol."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What cannot be understood as HTTP."""
        self._refuse(Problem(400, "invalid_request", msg))

    def _wait(self) -> None:
        if self._waiting is None and not self.transport.is_closing():
            self._waiting = self.loop.call_later(self._head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        half_a_head, _ = self.conn.trailing_data
        if self.conn.their_state is h11.IDLE and half_a_head and not self.transport.is_closing():
            self._refuse(Problem(408, "request_timeout", "The request took too long. Please send it again."))
        self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        response = problem.response()
        headers = [*response.raw_headers, (b"connection", b"close")]
        status = response.status_code
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
