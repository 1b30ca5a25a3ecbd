"""The pace of one processor."""

import asyncio
import time
from itertools import pairwise

import pytest

from services.processor.limits import rate_limit as pace_module
from services.processor.limits.rate_limit import Pace


async def test_without_a_limit_it_is_always_our_turn():
    """RATE_LIMIT_REQUESTS=0."""
    pace = Pace(0, 1.0, 6, list)
    async with asyncio.timeout(0.5):
        for _ in range(1000):
            await pace.turn()


async def test_turns_keep_the_distance_of_the_slots():
    """Twenty a second, all partitions ours: no two closer than a slot less its grace."""
    pace = Pace(20, 1.0, 2, lambda: [0, 1])
    times = []
    for _ in range(8):
        await pace.turn()
        times.append(time.monotonic())
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.0525 - 0.025
    assert times[-1] - times[0] >= 7 * 0.0525 - 0.025


async def test_half_the_partitions_have_half_the_turns():
    """The other half belongs to another processor."""
    pace = Pace(40, 1.0, 2, lambda: [1])
    began = time.monotonic()
    for _ in range(6):
        await pace.turn()
    assert time.monotonic() - began >= 5 * 2 * 0.02625 - 0.025


async def test_nothing_owned_has_no_turn():
    """Until something is."""
    owned: list[int] = []
    pace = Pace(50, 1.0, 2, lambda: owned)
    turn = asyncio.create_task(pace.turn())
    await asyncio.sleep(0.15)
    assert not turn.done()
    owned.append(0)
    async with asyncio.timeout(2):
        await turn


async def test_a_slot_that_is_lost_while_it_is_waited_for_is_not_used():
    """A rebalance gives its partition to another processor, whose slot it is now."""
    owned = [0]
    pace = Pace(5, 1.0, 1, lambda: owned)
    await pace.turn()
    turn = asyncio.create_task(pace.turn())
    await asyncio.sleep(0.05)
    owned.clear()
    await asyncio.sleep(0.4)
    assert not turn.done()
    turn.cancel()


async def test_retry_after_silences_us():
    """And the longest wish holds."""
    pace = Pace(0, 1.0, 1, lambda: [0])
    pace.retry_after(0.3)
    pace.retry_after(0.1)
    assert pace.silent_seconds == pytest.approx(0.3, abs=0.05)
    began = time.monotonic()
    await pace.turn()
    assert time.monotonic() - began >= 0.28
    assert pace.silent_seconds == 0


async def test_a_clock_that_is_put_back_costs_a_moment(monkeypatch):
    """The slots already used lie an hour ahead; the limiter goes by another clock and still holds."""
    pace = Pace(50, 1.0, 1, lambda: [0])
    await pace.turn()
    real = time.time
    monkeypatch.setattr(pace_module.time, "time", lambda: real() - 3600)
    async with asyncio.timeout(2):
        await pace.turn()
