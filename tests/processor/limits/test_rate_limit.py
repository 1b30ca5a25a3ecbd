"""The rate limit as one processor keeps it."""

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@dataclass
class FakeTime:
    """Both clocks, and the sleep that moves them on. `jumps`: by how much the wall clock is moved, and when."""

    now: float = 1000.0
    jumps: tuple[tuple[float, float], ...] = ()
    oversleep: float = 0.0
    #: How much of a second of sleep a second of the clocks lasts.
    speed: float = 1.0

    def clock(self):
        return self.now

    def wall_clock(self):
        return 1.8e9 + self.now + sum(seconds for at, seconds in self.jumps if self.now >= at)

    async def sleep(self, seconds):
        self.now += max(seconds * self.speed, 1e-6) + self.oversleep


def limited(fake, rate, period, partitions=1, owned=(0,)):
    return RateLimit(rate, period, partitions, lambda: owned, fake.clock, fake.wall_clock, fake.sleep)


async def calls(rate_limit, fake, count):
    times = []
    for _ in range(count):
        await rate_limit.acquire()
        times.append(fake.now)
    return times


def most_in_a_period(times, period):
    return max(sum(start <= time < start + period for time in times) for start in times)


async def test_a_clock_that_is_put_back_costs_a_moment():
    """The slots already used lie an hour ahead."""
    fake = FakeTime(jumps=((1000.5, -3600.0),))
    rate_limit = limited(fake, 50, 1.0)
    times = await calls(rate_limit, fake, 100)
    assert times[-1] - times[0] < 100 * 0.021 + 0.5


@given(
    st.sampled_from([(1, 1.0), (10, 10.0), (30, 60.0), (5, 0.2)]),
    st.lists(st.tuples(st.floats(1000, 1100), st.floats(-4000, 4000)), max_size=4),
    st.floats(0, 0.001),
)
async def test_a_clock_that_jumps_lets_no_call_too_many_through(limit, jumps, oversleep):
    """In no window of a period, wherever the slots lie after the jump."""
    rate, period = limit
    fake = FakeTime(jumps=tuple(jumps), oversleep=oversleep)
    times = await calls(limited(fake, rate, period), fake, 6 * rate)
    assert most_in_a_period(times, period - 1e-6) <= rate


async def test_a_sleep_that_ends_a_little_early_wastes_no_slot():
    """The wall clock may run slower than the monotonic one while it is being set right."""
    fake = FakeTime(speed=0.999)
    rate_limit = limited(fake, 10, 1.0)
    times = await calls(rate_limit, fake, 50)
    assert times[-1] - times[0] == pytest.approx(49 * 0.105, abs=0.02)


@pytest.mark.parametrize(("processors", "longest"), [(1, 2.2), (2, 6.4), (3, 10.6)])
async def test_a_lone_row_waits_for_its_processors_next_slot(processors, longest):
    """At 30 calls a minute and 50 partitions. One processor of three waited up to 74 s."""
    fake, share = FakeTime(), -(-50 // processors)
    rate_limit = limited(fake, 30, 60.0, 50, range(share))
    waits = []
    for _ in range(60):
        fake.now += 7.3
        asked = fake.now
        await rate_limit.acquire()
        waits.append(fake.now - asked)
    assert max(waits) <= longest
