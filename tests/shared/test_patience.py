"""Waiting that ends, whoever is waited for."""

import asyncio
import time

import pytest

from services.ingest.admission import Admission
from shared.patience import within
from shared.problems import Problem


async def test_what_comes_in_time_is_returned():
    """And what is raised is raised."""
    assert await within(5, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ZeroDivisionError):
        await within(5, _fails())


async def test_who_does_not_listen_is_left_alone():
    """A client that swallows its cancellation keeps nobody waiting."""
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        await within(0.1, _stubborn(1.0))

    assert time.monotonic() - began < 0.6


async def test_whoever_waits_can_be_stopped():
    """Then so is the work."""
    stopped = asyncio.Event()
    waiting = asyncio.create_task(within(60, _tells_when_stopped(stopped)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()

    async with asyncio.timeout(5):
        await stopped.wait()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_publishing_is_for_so_many_at_a_time(monkeypatch):
    """The next waits for a moment, and is told to come back; a place that gets free is taken."""
    monkeypatch.setattr("services.ingest.admission.PATIENCE_SECONDS", 0.1)
    admission = Admission(publishing=1)
    async with admission.publishing():
        with pytest.raises(Problem) as refusal:
            async with admission.publishing():
                pytest.fail("there was no room")

    assert (refusal.value.status, refusal.value.retry_after) == (503, 2)
    async with admission.publishing():
        pass


def test_uploads_are_let_in_up_to_the_limit():
    """And again when one has left."""
    admission = Admission(uploads=1)
    with admission.upload(), pytest.raises(Problem), admission.upload():
        pytest.fail("there was no room")

    with admission.upload():
        pass


async def _fails() -> None:
    raise ZeroDivisionError


async def _stubborn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


async def _tells_when_stopped(stopped: asyncio.Event) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        stopped.set()
