"""Repeats an upload until it is accepted, as clients are told to."""

import asyncio
import contextlib

import httpx

from tests.support.ingest.ingest_server import upload


def hospitals(rows: int, round_: int = 0) -> bytes:
    """A file of so many rows, another one for each round."""
    lines = (b"Hospital %d of round %d,%d Main Street\n" % (number, round_, number) for number in range(rows))
    return b"name,address\n" + b"".join(lines)


async def succeeds(client: httpx.AsyncClient, content: bytes, key: str, seconds: float = 90) -> httpx.Response:
    """The 202, after answers that say when to come back, and after none at all. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await upload(client, content, key)
                if answer.status_code == 202:
                    return answer
                assert answer.status_code in (409, 503), answer.text
                assert answer.headers["retry-after"]
            await asyncio.sleep(0.2)
