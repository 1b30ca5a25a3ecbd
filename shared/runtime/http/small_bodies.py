"""Bodies that FastAPI reads into memory. It would take any size, and wait for one that never comes for ever."""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: How long a client may take to send a small body.
BODY_SECONDS: Final = 20.0
MAX_BODY_BYTES: Final = 64 * 1024
_DRAIN_SECONDS: Final = 1.0
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class SmallBodies:
    """Raises 408 in a route whose request's body is not whole after `seconds`, and 413 when it is over `max_bytes`."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._seconds = seconds
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        received, whole = 0, False

        async def receive_small() -> Message:
            nonlocal received, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                await _drain(receive)
                raise HTTPException(408, "The body did not come in time. Please send it again.") from None
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > self._max_bytes:
                if not whole:
                    await _drain(receive)
                raise HTTPException(413, f"The body has more than {self._max_bytes:,} bytes.")
            return message

        await self._app(scope, receive_small, send)


async def _drain(receive: Receive) -> None:
    """Reads the rest of a refused body for a while. A client that is still sending may not read the answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (await receive()).get("more_body", False):
                pass
