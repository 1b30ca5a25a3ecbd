"""The rate limit as one processor keeps it."""

import asyncio
import time
from itertools import pairwise

import pytest

from services.processor.limits.rate_limit import RateLimit


async def test_without_a_limit_it_is_never_waited_for():
    """RATE_LIMIT_REQUESTS=0."""
    rate_limit = RateLimit(0, 1.0, 6, list)
    async with asyncio.timeout(0.5):
        for _ in range(1000):
            await rate_limit.acquire()


async def test_calls_keep_the_distance_of_the_slots():
    """Twenty a second, all partitions ours: no two closer than a slot less its grace."""
    rate_limit = RateLimit(20, 1.0, 2, lambda: [0, 1])
    times = []
    for _ in range(8):
        await rate_limit.acquire()
        times.append(time.monotonic())
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.0525 - 0.025
    assert times[-1] - times[0] >= 7 * 0.0525 - 0.025


async def test_half_the_partitions_get_half_the_calls():
    """The other half belongs to another processor."""
    rate_limit = RateLimit(40, 1.0, 2, lambda: [1])
    began = time.monotonic()
    for _ in range(6):
        await rate_limit.acquire()
    assert time.monotonic() - began >= 5 * 2 * 0.02625 - 0.025


async def test_without_a_partition_nothing_may_be_called():
    """Until something is."""
    owned: list[int] = []
    rate_limit = RateLimit(50, 1.0, 2, lambda: owned)
    call = asyncio.create_task(rate_limit.acquire())
    await asyncio.sleep(0.15)
    assert not call.done()
    owned.append(0)
    async with asyncio.timeout(2):
        await call


async def test_a_slot_that_is_lost_while_it_is_waited_for_is_not_used():
    """A rebalance gives its partition to another processor, whose slot it is now."""
    owned = [0]
    rate_limit = RateLimit(5, 1.0, 1, lambda: owned)
    await rate_limit.acquire()
    call = asyncio.create_task(rate_limit.acquire())
    await asyncio.sleep(0.05)
    owned.clear()
    await asyncio.sleep(0.4)
    assert not call.done()
    call.cancel()


async def test_retry_after_is_waited_for():
    """And the longest one counts."""
    rate_limit = RateLimit(0, 1.0, 1, lambda: [0])
    rate_limit.retry_after(0.3)
    rate_limit.retry_after(0.1)
    assert rate_limit.retry_after_seconds == pytest.approx(0.3, abs=0.05)
    began = time.monotonic()
    await rate_limit.acquire()
    assert time.monotonic() - began >= 0.28
    assert rate_limit.retry_after_seconds == 0


async def test_a_clock_that_is_put_back_costs_a_moment():
    """The slots already used lie an hour ahead; the limiter goes by another clock and still holds."""
    put_back = 0.0
    rate_limit = RateLimit(50, 1.0, 1, lambda: [0], wall_clock=lambda: time.time() - put_back)
    await rate_limit.acquire()
    put_back = 3600.0
    async with asyncio.timeout(2):
        await rate_limit.acquire()
