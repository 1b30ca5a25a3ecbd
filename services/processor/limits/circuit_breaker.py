"""The circuit breaker: purgatory's, with probes one at a time when it is half-open.

While it is open rows wait, they do not fail. purgatory alone would let all waiting callers through at once.
"""

import time
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Self

import structlog
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import HalfOpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker

from services.processor.directory.outcomes import FAILURES, NotSent, ServerError
from shared.contract.events import BreakerState

log = structlog.get_logger(__name__)

_STATES = {"closed": BreakerState.CLOSED, "opened": BreakerState.OPEN, "half-opened": BreakerState.HALF_OPEN}


class CircuitOpen(Exception):
    """The circuit breaker opened between the choice of a call and its first byte: nothing was sent."""


class _CallFailed(Exception):
    """Tells purgatory that a call has failed."""


class CircuitBreaker:
    """Opens after `threshold` failures in a row. After `recovery` seconds probes decide whether it closes.

    One probe is under way at a time. A success closes the breaker. A failure opens it again, but a 500 only after
    `threshold` probes in a row had one: the directory did answer, so the row alone may be what it cannot take.
    `clock`: seconds of the monotonic clock.
    """

    def __init__(
        self,
        threshold: int,
        recovery: float,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState], None] = lambda _state: None,
        name: str = "directory",
    ) -> None:
        self._factory = AsyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=recovery)
        self._factory.add_listener(self._on_event)
        self._circuit: AsyncCircuitBreaker | None = None
        self._name = name
        self._threshold = threshold
        self._recovery = recovery
        self._clock = clock
        self._on_change = on_change
        self._opened_at = 0.0
        self._probing = False
        self._failed_probes = 0
        #: What has failed since the last success, where calls say what they are for.
        self._failed_subjects: set[Hashable] = set()

    async def start(self) -> None:
        """Makes purgatory's circuit. To be awaited before anything else is used."""
        await self._factory.initialize()
        self._circuit = await self._factory.get_breaker(self._name)
        self._on_change(BreakerState.CLOSED)

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half-open (one probe at a time)."""
        state = _STATES[self._context.state]
        return BreakerState.HALF_OPEN if state is BreakerState.OPEN and self.open_seconds <= 0 else state

    @property
    def open_seconds(self) -> float:
        """How long no call may be made; 0 when it is closed or half-open."""
        if self._context.state != "opened":
            return 0.0
        return max(self._opened_at + self._recovery - self._clock(), 0.0)

    @property
    def seconds_until_try(self) -> float | None:
        """When it tries whether the directory answers, or did, in seconds from now. None when it is closed."""
        return None if self._context.state == "closed" else self._opened_at + self._recovery - self._clock()

    @property
    def may_call(self) -> bool:
        """Whether a call may be made now: it is closed, or half-open and no probe is under way."""
        if self._context.state == "closed":
            return True  # at once: this is asked before every call
        return self.state is BreakerState.HALF_OPEN and not self._probing

    @property
    def _started(self) -> AsyncCircuitBreaker:
        if self._circuit is None:
            raise RuntimeError("the breaker has not been started")
        return self._circuit

    @property
    def _context(self) -> Any:
        return self._started.context

    def begin_probe(self) -> bool:
        """Whether the next call is the probe. It has to end with `release_probe`."""
        if self.state is not BreakerState.HALF_OPEN or self._probing:
            return False
        self._probing = True
        return True

    def release_probe(self) -> None:
        """The probe has ended, or there was nothing to probe with."""
        self._probing = False

    def call(self, subject: Hashable = None) -> "CountedCall":
        """A call that the breaker counts: `async with` it, and `record` the call's outcome in it.

        With a `subject` (such as a batch) further failures of the same subject are not counted before a success: what
        fails alone does not open the breaker for the others.
        """
        return CountedCall(self, subject)

    async def begin_call(self) -> None:
        """Raises CircuitOpen when no call may be made. Only `CountedCall` needs this."""
        # purgatory measures the recovery time with the wall clock, which may be put back: then rows would wait for
        # the difference too. So it is told when the time is over.
        if self.state is BreakerState.OPEN:
            raise CircuitOpen
        if self._context.state == "opened":
            self._context.set_state(HalfOpenedState())
        await self._started.__aenter__()

    async def end_call(self, outcome: object, subject: Hashable) -> None:
        """Counts a call's outcome. Only `CountedCall` needs this."""
        if isinstance(outcome, NotSent):
            return  # it proves nothing: the count of failures stays, and another call may be the probe
        if not isinstance(outcome, FAILURES):
            self._failed_probes = 0
            self._failed_subjects.clear()
            await self._started.__aexit__(None, None, None)
            return
        if self._context.state == "half-opened" and isinstance(outcome, ServerError):
            self._failed_probes += 1
            if self._failed_probes < self._threshold:
                return  # it stays half-open: the next probe follows at once
        if self.state is BreakerState.CLOSED and subject is not None:
            if subject in self._failed_subjects:
                return
            self._failed_subjects.add(subject)
        self._failed_probes = 0
        await self._started.__aexit__(_CallFailed, _CallFailed(), None)

    def _on_event(self, _name: str, what: str, event: Any) -> None:
        if what != "state_changed":
            return
        state = _STATES[event.state]
        if state is BreakerState.OPEN:
            self._opened_at = self._clock()
            self._failed_subjects.clear()
        self._on_change(state)
        log.warning("breaker_changed", circuit=self._name, state=state.value, recovery_seconds=self._recovery)


class CountedCall:
    """One call as the circuit breaker counts it. Entering raises CircuitOpen when the call must not be made."""

    def __init__(self, breaker: CircuitBreaker, subject: Hashable) -> None:
        self._breaker = breaker
        self._subject = subject
        self._outcome: object = NotSent()

    async def __aenter__(self) -> Self:
        await self._breaker.begin_call()
        return self

    def record(self, outcome: object) -> None:
        """How the call ended."""
        self._outcome = outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._breaker.end_call(self._outcome, self._subject)
