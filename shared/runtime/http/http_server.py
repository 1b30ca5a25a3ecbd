"""Serving a FastAPI app until SIGTERM or SIGINT, then finishing what is in flight."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import structlog
import uvicorn
from fastapi import FastAPI

from shared.runtime.http.request_heads import HEAD_SECONDS, BoundedHeads
from shared.runtime.settings import HttpSettings, stop

log = structlog.get_logger(__name__)

GRACEFUL_SHUTDOWN_SECONDS = 8
#: Who takes nothing of an answer for so long is gone, as nginx and the origin hold it too.
STUCK_CLIENT_SECONDS = 300


def bind(settings: HttpSettings, variable: str = "HTTP_PORT") -> socket.socket:
    """The listening socket. A port that is taken ends the process with one line that names it and its variable."""
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    # The protocol has to be named: asyncio sets TCP_NODELAY on no other sockets, and answers wait 40 ms for their body.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: connections inherit it, and the kernel drops who is stuck
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STUCK_CLIENT_SECONDS * 1000))
    try:
        listening.bind((settings.http_host, settings.http_port))
        # Two sockets may bind one port as long as neither listens: only this makes the port ours.
        listening.listen()
    except OSError as error:
        stop(f"{variable} {settings.http_port} on {settings.http_host} cannot be used: {error.strerror}")
    return listening


class _Server(uvicorn.Server):
    """A server after which the process goes on, to clean up.

    uvicorn's own raises the signal that ended it once more, with its default effect: a SIGTERM would kill the process
    in the middle of handing its lanes over.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes SIGTERM and SIGINT until the loop is closed: a second one does not cut the clean-up short."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(app: FastAPI, listening: socket.socket, head_seconds: float = HEAD_SECONDS) -> None:
    """Runs the app on the socket; returns after a signal, when open requests have been answered (at most 8 s).

    `head_seconds`: how long a client may take to send the head of a request.
    """
    host, port, *_ = listening.getsockname()
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(BoundedHeads, head_seconds=head_seconds)),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        lifespan="on",
    )
    log.info("listening", url=f"http://{host}:{port}")
    await _Server(config).serve(sockets=[listening])
