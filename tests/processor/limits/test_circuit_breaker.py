"""The breaker opens after failures in a row, and lets one probe through at a time."""

import asyncio

import pytest

from services.processor.directory.outcomes import Created, NotSent, ServerError, Throttled
from services.processor.limits.circuit_breaker import CircuitBreaker, CircuitOpen
from shared.contract.events import BreakerState

RECOVERY = 0.1


@pytest.fixture
async def breaker():
    """Opens after two failures, for a tenth of a second."""
    made = CircuitBreaker(2, RECOVERY)
    await made.start()
    return made


async def call(breaker, outcome):
    async with breaker.call() as call:
        call.record(outcome)


async def test_it_opens_after_failures_in_a_row(breaker):
    """A success in between starts the count again."""
    for outcome in (ServerError("boom"), Created(1), ServerError("boom")):
        await call(breaker, outcome)
    assert breaker.state is BreakerState.CLOSED
    await call(breaker, ServerError("boom"))
    assert breaker.state is BreakerState.OPEN
    with pytest.raises(CircuitOpen):
        await call(breaker, Created(1))


async def test_a_limit_is_no_failure(breaker):
    """429 says that the directory is well."""
    for _ in range(5):
        await call(breaker, Throttled(1.0))
    assert breaker.state is BreakerState.CLOSED


async def opened(breaker):
    for _ in range(2):
        await call(breaker, ServerError("boom"))


async def test_callers_wait_while_it_is_open_and_one_becomes_the_probe(breaker):
    """The others wait until the probe is over."""
    await opened(breaker)
    waiting = [asyncio.create_task(breaker.acquire()) for _ in range(5)]
    done, pending = await asyncio.wait(waiting, timeout=RECOVERY * 3)
    assert [task.result() for task in done] == [True]
    await call(breaker, Created(1))
    breaker.release_probe()
    async with asyncio.timeout(1):
        assert [await task for task in pending] == [False] * 4
    assert breaker.state is BreakerState.CLOSED


async def test_a_failed_probe_opens_it_again(breaker):
    """And the next probe waits for the whole recovery time."""
    await opened(breaker)
    assert await breaker.acquire()
    await call(breaker, ServerError("boom"))
    breaker.release_probe()
    assert breaker.state is BreakerState.OPEN
    async with asyncio.timeout(1):
        assert await breaker.acquire()


async def test_a_call_that_was_not_sent_proves_nothing(breaker):
    """Neither that the directory is well, nor that it is not."""
    for outcome in (ServerError("boom"), NotSent(), ServerError("boom")):
        await call(breaker, outcome)
    assert breaker.state is BreakerState.OPEN


async def test_a_probe_that_was_not_sent_leaves_the_place_to_another_at_once():
    """A permit that ran out right before the probe must not keep rows waiting for one more recovery time."""
    breaker = CircuitBreaker(1, 0.2)
    await breaker.start()
    await call(breaker, ServerError("boom"))
    assert await breaker.acquire()
    await call(breaker, NotSent())
    breaker.release_probe()
    assert breaker.state is BreakerState.HALF_OPEN
    async with asyncio.timeout(0.1):
        assert await breaker.acquire()


async def test_a_probe_that_nobody_wanted_leaves_the_place_to_another(breaker):
    """Half-open, and still one at a time."""
    await opened(breaker)
    assert await breaker.acquire()
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.release_probe()
    async with asyncio.timeout(1):
        assert await breaker.acquire()


async def test_it_has_to_be_started():
    """A breaker without its circuit would let everything through."""
    with pytest.raises(RuntimeError, match="started"):
        await CircuitBreaker(2, 1).acquire()
