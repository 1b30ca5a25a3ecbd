"""The breaker opens after failures in a row, and lets one probe through at a time."""

import asyncio
import time
from dataclasses import dataclass

import pytest

from services.processor.directory.outcomes import Created, LookupFailed, NotSent, ServerError, Throttled, Unanswered
from services.processor.limits.circuit_breaker import CircuitBreaker, CircuitOpen
from shared.contract.events import BreakerState

RECOVERY = 60.0


@dataclass
class FakeClock:
    """A monotonic clock that stands still."""

    now: float = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def breaker(clock):
    """Opens after two failures, for a minute."""
    made = CircuitBreaker(2, RECOVERY, clock)
    await made.start()
    return made


async def call(breaker, outcome, subject=None):
    async with breaker.call(subject) as call:
        call.record(outcome)


async def probe(breaker, outcome):
    """The one call that a half-open breaker lets through."""
    assert breaker.begin_probe()
    assert not breaker.may_call
    await call(breaker, outcome)
    breaker.release_probe()


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


async def test_nothing_is_called_while_it_is_open_and_then_one_probe(breaker, clock):
    """The others wait until the probe is over."""
    await opened(breaker)
    clock.now += RECOVERY - 1
    assert (breaker.may_call, breaker.begin_probe(), breaker.open_seconds) == (False, False, 1)
    clock.now += 1
    assert [breaker.begin_probe() for _ in range(5)] == [True] + [False] * 4
    assert not breaker.may_call
    await call(breaker, Created(1))
    breaker.release_probe()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.may_call
    assert not breaker.begin_probe(), "a call of a closed breaker is no probe"


async def test_a_failed_probe_opens_it_again(breaker, clock):
    """And the next probe waits for the whole recovery time."""
    await opened(breaker)
    clock.now += RECOVERY
    await probe(breaker, Unanswered("time-out"))
    assert breaker.state is BreakerState.OPEN
    clock.now += RECOVERY - 1
    assert not breaker.begin_probe()
    clock.now += 1
    assert breaker.begin_probe()


async def test_a_call_that_was_not_sent_proves_nothing(breaker):
    """Neither that the directory is well, nor that it is not."""
    for outcome in (ServerError("boom"), NotSent(), ServerError("boom")):
        await call(breaker, outcome)
    assert breaker.state is BreakerState.OPEN


async def test_a_probe_that_was_not_sent_leaves_the_place_to_another_at_once(breaker, clock):
    """A permit that ran out right before the probe must not keep rows waiting for one more recovery time."""
    await opened(breaker)
    clock.now += RECOVERY
    await probe(breaker, NotSent())
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.begin_probe()


async def test_a_probe_that_nobody_wanted_leaves_the_place_to_another(breaker, clock):
    """Half-open, and still one at a time."""
    await opened(breaker)
    clock.now += RECOVERY
    assert breaker.begin_probe()
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.begin_probe()
    breaker.release_probe()
    assert breaker.begin_probe()


async def test_a_500_of_a_probe_may_be_the_rows_own(clock):
    """So the next probe follows at once. After as many in a row as opened it, the breaker believes them.

    With one probe a minute, 30 rows that always get 500 kept the others waiting for half an hour.
    """
    breaker = CircuitBreaker(3, 60.0, clock)
    await breaker.start()
    for _ in range(3):
        await call(breaker, ServerError("boom"))
    assert breaker.state is BreakerState.OPEN
    clock.now += 60
    for _ in range(2):
        await probe(breaker, ServerError("boom"))
        assert breaker.state is BreakerState.HALF_OPEN
    await probe(breaker, ServerError("boom"))
    assert breaker.state is BreakerState.OPEN
    clock.now += 60
    await probe(breaker, ServerError("boom"))
    await probe(breaker, Created(1))
    assert breaker.state is BreakerState.CLOSED


async def test_a_probe_without_an_answer_opens_it_at_once(clock):
    """A directory that is away is not asked again and again."""
    breaker = CircuitBreaker(3, 60.0, clock)
    await breaker.start()
    for _ in range(3):
        await call(breaker, Unanswered("time-out"))
    clock.now += 60
    await probe(breaker, Unanswered("time-out"))
    assert breaker.state is BreakerState.OPEN
    assert breaker.open_seconds == 60


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_wall_clock_that_jumps_changes_nothing(clock, monkeypatch, jump):
    """purgatory reads the wall clock. Put back by an hour, it would have kept rows waiting for an hour more."""
    breaker = CircuitBreaker(1, 60.0, clock)
    await breaker.start()
    await call(breaker, Unanswered("time-out"))
    # purgatory takes no clock as an argument, so its record of the opening is moved instead.
    monkeypatch.setattr(breaker._context._state, "opened_at", time.time() - jump)
    clock.now += 59
    assert breaker.state is BreakerState.OPEN
    with pytest.raises(CircuitOpen):
        await call(breaker, Created(1))
    clock.now += 1
    await probe(breaker, Created(1))
    assert breaker.state is BreakerState.CLOSED


async def test_one_subject_cannot_open_it_alone(clock):
    """A batch whose look-up fails again and again says little about the others."""
    breaker = CircuitBreaker(3, 60.0, clock)
    await breaker.start()
    for _ in range(10):
        await call(breaker, LookupFailed("boom"), "sick")
    assert breaker.state is BreakerState.CLOSED
    await call(breaker, LookupFailed("boom"), "second")
    assert breaker.state is BreakerState.CLOSED
    await call(breaker, LookupFailed("boom"), "third")
    assert breaker.state is BreakerState.OPEN


async def test_a_call_that_was_cancelled_proves_nothing(clock):
    """A processor that stops has not found out anything."""
    breaker = CircuitBreaker(1, 60.0, clock)
    await breaker.start()
    with pytest.raises(asyncio.CancelledError):
        async with breaker.call():
            raise asyncio.CancelledError
    assert breaker.state is BreakerState.CLOSED


def test_it_has_to_be_started():
    """A breaker without its circuit would let everything through."""
    with pytest.raises(RuntimeError, match="started"):
        CircuitBreaker(2, 1).begin_probe()
