"""Waiting for others, but not for ever, even for those who do not listen when told to stop.

Kafka's client hangs in `start`, `send`, `commit` and `stop` while the broker is frozen, and a database's driver can
hang while it cleans up. Waiting for their end is what `asyncio.timeout` does; here nobody waits.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Long enough for whoever listens to clean up.
_AGAIN_SECONDS = 5.0
_left_alone: set[asyncio.Future[Any]] = set()


async def run_with_timeout(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work returns. After so many seconds it is told to stop, and TimeoutError is raised at once."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
    finally:
        detach(task)  # also when it has ended: whoever is cancelled at that moment does not ask how
        _tell_to_stop(task)
    if done:
        return task.result()
    raise TimeoutError(f"no answer within {seconds:.1f} s")


def _tell_to_stop(task: asyncio.Future[Any]) -> None:
    """Again and again: `asyncio.wait_for` loses a cancellation that comes together with the answer (Python < 3.12)."""
    if not task.done():
        task.cancel()
        task.get_loop().call_later(_AGAIN_SECONDS, _tell_to_stop, task)


def detach(task: asyncio.Future[Any]) -> None:
    """Lets a task or future end by itself: it is kept from the garbage collector, and nobody asks how it ended."""
    _left_alone.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Future[Any]) -> None:
    _left_alone.discard(task)
    if not task.cancelled():
        task.exception()
