"""Waiting for a condition."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable


async def until(what: str, condition: Callable[[], bool | Awaitable[bool]], seconds: float) -> None:
    """Waits until a condition holds; fails with `what` when it does not come to hold."""
    began = time.monotonic()
    while not (await holds if isawaitable(holds := condition()) else holds):
        if time.monotonic() - began > seconds:
            raise AssertionError(f"after {seconds} s still not: {what}")
        await asyncio.sleep(0.1)
