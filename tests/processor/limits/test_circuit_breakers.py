"""A breaker for each kind of call: what fails in one kind keeps no other kind waiting."""

from dataclasses import dataclass

import pytest

from services.processor import metrics
from services.processor.directory.outcomes import (
    Activated,
    ConnectionFailed,
    Created,
    Listed,
    LookupFailed,
    NotSent,
    ServerError,
    Unanswered,
)
from services.processor.limits.circuit_breaker import CircuitOpen
from services.processor.limits.circuit_breakers import CallKind, CircuitBreakers
from shared.contract.events import BreakerState

THRESHOLD, RECOVERY = 5, 60.0
CREATE, LOOK_UP, ACTIVATE = CallKind


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
def changes():
    """Grows with each change that the sender is told of."""
    return []


@pytest.fixture
async def breakers(clock, changes):
    made = CircuitBreakers(THRESHOLD, RECOVERY, lambda: changes.append(clock.now), clock)
    await made.start()
    return made


async def call(breakers, kind, outcome, subject=None):
    async with breakers.begin(kind, subject) as counted:
        counted.record(outcome)


async def fail(breakers, kind, outcome, times=THRESHOLD):
    for _ in range(times):
        await call(breakers, kind, outcome)


async def test_look_ups_that_fail_keep_no_row_waiting(breakers):
    """With one breaker for all, 100 batches whose look-ups failed let 0 of 100 healthy rows through in 10 minutes."""
    for batch in range(100):
        if breakers.may_call(LOOK_UP):
            await call(breakers, LOOK_UP, LookupFailed("boom"), batch)
        await call(breakers, CREATE, Created(batch))
        assert breakers.may_call(CREATE)
    assert not breakers.may_call(LOOK_UP)
    with pytest.raises(CircuitOpen):
        await call(breakers, LOOK_UP, Listed(()))


async def test_a_connection_that_cannot_be_made_counts_for_all_kinds(breakers):
    """Not five times for each."""
    for kind in (CREATE, LOOK_UP, ACTIVATE, LOOK_UP, CREATE):
        assert all(breakers.may_call(kind) for kind in CallKind)
        await call(breakers, kind, ConnectionFailed("refused"))
    assert not any(breakers.may_call(kind) for kind in CallKind)


async def test_after_the_recovery_time_each_kind_has_its_own_probe(breakers, clock, changes):
    """The sender is told when to look again, and when another call may be the probe."""
    await fail(breakers, CREATE, Unanswered("time-out"))
    clock.now += 20
    await fail(breakers, LOOK_UP, LookupFailed("time-out"))
    assert breakers.seconds_until_probe() == RECOVERY - 20
    clock.now += RECOVERY - 20
    assert breakers.is_half_open(CREATE)
    assert not breakers.is_half_open(LOOK_UP)
    assert breakers.seconds_until_probe() == 20
    chosen = breakers.begin(CREATE)
    assert chosen.is_probe
    assert not breakers.may_call(CREATE)
    assert not breakers.begin(CREATE).is_probe
    told = len(changes)
    async with chosen as counted:
        counted.record(NotSent())
    assert len(changes) > told
    assert breakers.may_call(CREATE)
    await call(breakers, CREATE, Created(1))
    clock.now += 20
    await call(breakers, LOOK_UP, Listed(()))
    assert breakers.seconds_until_probe() is None
    assert not any(breakers.is_half_open(kind) for kind in CallKind)


async def test_a_probe_that_is_not_made_after_all_is_released(breakers, clock):
    """Otherwise no row would be sent any more."""
    await fail(breakers, CREATE, ServerError("boom"))
    clock.now += RECOVERY
    breakers.begin(CREATE).release()
    assert breakers.may_call(CREATE)


async def test_a_probe_that_breaks_is_released(breakers, clock):
    """A programming error must not hold it either."""
    await fail(breakers, CREATE, ServerError("boom"))
    clock.now += RECOVERY
    with pytest.raises(ZeroDivisionError):
        async with breakers.begin(CREATE):
            raise ZeroDivisionError
    assert breakers.may_call(CREATE)


def shown():
    return [
        sample.labels["hospital_processor_breaker"]
        for metric in metrics.BREAKER_STATE.collect()
        for sample in metric.samples
        if sample.value
    ]


async def test_the_state_that_is_reported_is_that_of_creations(breakers):
    """Rows wait only when they may not be created. Nobody waits for the breaker while other calls succeed."""
    assert breakers.state is BreakerState.CLOSED
    await fail(breakers, LOOK_UP, LookupFailed("boom"))
    assert breakers.state is BreakerState.OPEN  # nothing succeeds, as far as is known
    await call(breakers, CREATE, Created(1))
    assert breakers.state is BreakerState.CLOSED
    assert shown() == ["closed"]
    await fail(breakers, CREATE, ServerError("boom"))
    await call(breakers, ACTIVATE, Activated("yes"))
    assert breakers.state is BreakerState.OPEN
    assert shown() == ["open"]


async def test_the_next_try_that_is_reported_is_that_of_the_same_breaker(breakers, clock):
    """While its probe is under way the time of that try stays; a closed one has none."""
    assert breakers.seconds_until_try is None
    await fail(breakers, CREATE, Unanswered("time-out"))
    clock.now += 20
    await fail(breakers, LOOK_UP, LookupFailed("time-out"))
    assert (breakers.seconds_until_try, breakers.open_seconds(LOOK_UP)) == (RECOVERY - 20, RECOVERY)
    clock.now += RECOVERY
    assert breakers.state is BreakerState.HALF_OPEN
    assert breakers.seconds_until_try == -20
    await call(breakers, CREATE, Created(1))
    assert breakers.seconds_until_try is None


async def test_a_breaker_of_look_ups_tells_its_next_try_while_nothing_else_succeeds(breakers, clock):
    """As its state does."""
    await fail(breakers, LOOK_UP, LookupFailed("time-out"))
    clock.now += 10
    assert (breakers.state, breakers.seconds_until_try) == (BreakerState.OPEN, RECOVERY - 10)
    await call(breakers, CREATE, Created(1))
    assert breakers.seconds_until_try is None
