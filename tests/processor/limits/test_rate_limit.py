"""The rate limit as one processor keeps it."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.processor.limits.rate_limit import RateLimit
from services.processor.limits.slot_grants import Demand
from shared.contract.events import ProcessorReported
from tests.support.until import until


async def test_without_a_limit_it_is_never_waited_for():
    """RATE_LIMIT_REQUESTS=0. Nothing is said of slots either, and nobody is woken for it."""
    rate_limit = RateLimit(0, 1.0, 6, "me")
    async with asyncio.timeout(0.5):
        for _ in range(1000):
            await rate_limit.acquire()
    assert rate_limit.slots_report() is None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await rate_limit.until_urgent()


async def test_a_processor_that_ends_wants_no_slots_any_more():
    """Although something still waits for one."""
    rate_limit = RateLimit(50, 1.0, 2, "me")
    assert not rate_limit.leave(), "nobody gives it any"
    rate_limit = RateLimit(50, 1.0, 2, "me")
    async with granting(rate_limit):
        await rate_limit.acquire()
    call = asyncio.create_task(rate_limit.acquire())
    await asyncio.sleep(0)
    assert rate_limit.slots_report().wants_slots
    assert rate_limit.leave()
    assert not rate_limit.slots_report().wants_slots
    call.cancel()


@asynccontextmanager
async def granting(rate_limit):
    """The topic, for one processor alone: each report is read as soon as it is written. Gives the reports."""
    reports = []

    async def keep_reporting():
        while True:
            await rate_limit.until_urgent()
            reports.append(ProcessorReported(instance="i", breaker="closed", rate_slots=rate_limit.slots_report()))
            rate_limit.apply(reports[-1])

    task = asyncio.create_task(keep_reporting())
    try:
        yield reports
    finally:
        task.cancel()


async def test_calls_keep_the_distance_of_the_slots():
    """Twenty a second: no two closer than a slot less its grace."""
    rate_limit = RateLimit(20, 1.0, 2, "me")
    times = []
    async with granting(rate_limit):
        for _ in range(8):
            await rate_limit.acquire()
            times.append(time.monotonic())
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.0525 - 0.025
    assert times[-1] - times[0] >= 7 * 0.0525 - 0.025


async def test_nothing_is_called_before_its_slot_has_been_granted():
    """The topic is away, or nobody has read it yet."""
    rate_limit = RateLimit(50, 1.0, 2, "me")
    call = asyncio.create_task(rate_limit.acquire())
    await asyncio.sleep(0.15)
    assert not call.done()
    async with asyncio.timeout(2), granting(rate_limit):
        await call


async def test_a_processor_that_has_nothing_to_call_writes_nothing():
    """It asks when it has work, and says when it has none any more."""
    rate_limit = RateLimit(50, 1.0, 2, "me")
    async with granting(rate_limit) as reports:
        await asyncio.sleep(0.3)
        assert not reports
        await rate_limit.acquire()
        assert reports
        assert rate_limit.demand is Demand.PAST
        await until("it is idle", lambda: not reports[-1].rate_slots.wants_slots, 3)
        written = len(reports)
        await asyncio.sleep(0.5)
        assert len(reports) == written


async def test_retry_after_is_waited_for():
    """And the longest one counts."""
    rate_limit = RateLimit(0, 1.0, 1, "me")
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


def limited(fake, rate, period):
    """A rate limit whose reports are read at the next sleep."""

    async def sleep(seconds):
        if rate_limit.is_urgent:
            report = ProcessorReported(instance="i", breaker="closed", rate_slots=rate_limit.slots_report())
            rate_limit.apply(report)
        await fake.sleep(seconds)

    rate_limit = RateLimit(rate, period, 1, "me", fake.clock, fake.wall_clock, sleep)
    return rate_limit


async def calls(rate_limit, fake, count):
    times = []
    for _ in range(count):
        await rate_limit.acquire()
        times.append(fake.now)
    return times


def most_in_a_period(times, period):
    return max(sum(start <= time < start + period for time in times) for start in times)


async def test_a_clock_that_is_put_back_costs_nothing():
    """The time of the slots goes on."""
    fake = FakeTime(jumps=((1000.5, -3600.0),))
    rate_limit = limited(fake, 50, 1.0)
    times = await calls(rate_limit, fake, 100)
    assert times[-1] - times[0] < 100 * 0.021 + 0.1


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
