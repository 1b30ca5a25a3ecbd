"""Wakes those who wait for the tables to change."""

import asyncio
import contextlib


class ChangeSignal:
    """This replica's projection announces its commits, and anybody may wait for one; not those of other replicas."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Something was committed."""
        before, self._next = self._next, asyncio.Event()
        before.set()

    async def wait(self, timeout: float) -> None:
        """Returns at the next announcement, or after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._next.wait()
