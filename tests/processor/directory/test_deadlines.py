"""Deadlines that share a timer."""

import asyncio
import time

import pytest

from services.processor.directory.deadlines import Deadlines


async def waiting(deadlines, seconds, *, after=0.0):
    """How long a wait of that many seconds lasted, and whether it came to its end."""
    await asyncio.sleep(after)
    began = time.monotonic()
    try:
        with deadlines.begin():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return time.monotonic() - began, False
    return time.monotonic() - began, True


async def test_what_lasts_too_long_ends():
    """With TimeoutError, as under asyncio.timeout."""
    lasted, finished = await waiting(Deadlines(0.05), 5)
    assert not finished
    assert 0.05 <= lasted < 3


async def test_what_ends_in_time_is_left_alone():
    """Also when the time of its deadline comes."""
    deadlines = Deadlines(0.05)
    _, finished = await waiting(deadlines, 0.0)
    assert finished
    await asyncio.sleep(0.1)


async def test_each_has_its_own_deadline():
    """They share the timer, not the time: whoever began later ends later, however many ended in between."""
    deadlines = Deadlines(0.5)
    waits = [(9, 0.0), (0.01, 0.0), (9, 0.1), (0.01, 0.1), (9, 0.3), (0.01, 0.3)]
    ends = await asyncio.gather(*(waiting(deadlines, seconds, after=after) for seconds, after in waits))
    assert [finished for _, finished in ends] == [False, True, False, True, False, True]
    assert all(0.5 <= lasted < 3 for lasted, finished in ends if not finished)


async def test_they_go_on_after_a_lull():
    """The timer is set anew when it has found nothing left to time."""
    deadlines = Deadlines(0.03)
    await waiting(deadlines, 5)
    await asyncio.sleep(0.1)
    _, finished = await waiting(deadlines, 5)
    assert not finished


async def test_who_is_cancelled_by_somebody_else_is_cancelled():
    """Also in the very moment of the deadline: it must not be taken for a time-out."""
    deadlines = Deadlines(0.05)
    task = asyncio.create_task(waiting(deadlines, 5))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    task = asyncio.create_task(waiting(deadlines, 5))
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_later(0.04, task.cancel)
    time.sleep(0.1)  # noqa: ASYNC251 - both are due when the loop looks next
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_only_a_task_can_have_one():
    """A callback has nothing that could be ended."""
    failed = asyncio.get_running_loop().create_future()

    def begin():
        with pytest.raises(RuntimeError, match="task"):
            Deadlines(1).begin()
        failed.set_result(True)

    asyncio.get_running_loop().call_soon(begin)
    async with asyncio.timeout(1):
        assert await failed
