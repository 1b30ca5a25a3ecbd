"""Waiting that ends, whoever is waited for."""

import asyncio
import contextlib
import gc
import time

import pytest

from shared.runtime import timeouts
from shared.runtime.timeouts import run_with_timeout


async def test_what_comes_in_time_is_returned():
    """And what is raised is raised."""
    assert await run_with_timeout(5, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ZeroDivisionError):
        await run_with_timeout(5, _fails())


async def test_who_does_not_listen_is_left_alone():
    """A client that swallows its cancellation keeps nobody waiting."""
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        await run_with_timeout(0.1, _stubborn(1.0))

    assert time.monotonic() - began < 0.6


async def test_whoever_waits_can_be_stopped():
    """Then so is the work."""
    stopped = asyncio.Event()
    waiting = asyncio.create_task(run_with_timeout(60, _tells_when_stopped(stopped)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()

    async with asyncio.timeout(5):
        await stopped.wait()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_work_that_fails_when_its_waiter_is_stopped_ends_without_a_word():
    """A fenced transaction whose lane is closed at that moment: asyncio complained that nobody had asked."""
    complaints, failed = [], asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))

    async def fail():
        failed.set()
        raise ZeroDivisionError

    waiter = asyncio.create_task(run_with_timeout(5, fail()))
    await failed.wait()
    waiter.cancel()
    with pytest.raises((asyncio.CancelledError, ZeroDivisionError)):
        await waiter
    del waiter
    await asyncio.sleep(0)
    gc.collect()
    assert not complaints


async def test_who_missed_being_told_is_told_again(monkeypatch):
    """`asyncio.wait_for` loses a cancellation that comes together with its answer."""
    monkeypatch.setattr(timeouts, "_AGAIN_SECONDS", 0.01)
    told = asyncio.Event()

    with pytest.raises(TimeoutError):
        await run_with_timeout(0.01, _misses_the_first_time(told))

    async with asyncio.timeout(5):
        await told.wait()


async def _fails() -> None:
    raise ZeroDivisionError


async def _stubborn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


async def _misses_the_first_time(told: asyncio.Event) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    try:
        await asyncio.sleep(60)
    finally:
        told.set()


async def _tells_when_stopped(stopped: asyncio.Event) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        stopped.set()
