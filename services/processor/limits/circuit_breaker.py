"""The circuit breaker: purgatory's, and one probe at a time when it is half-open.

While it is open rows wait, they do not fail. purgatory alone would let all waiting callers through at once.
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import structlog
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker

from services.processor import metrics
from services.processor.directory.outcomes import FAILURES, NotSent
from shared.contract.events import BreakerState

log = structlog.get_logger(__name__)

_STATES = {"closed": BreakerState.CLOSED, "opened": BreakerState.OPEN, "half-opened": BreakerState.HALF_OPEN}


class CircuitOpen(Exception):
    """The circuit breaker opened between the choice of a call and its first byte: nothing was sent."""


class _CallFailed(Exception):
    """Tells purgatory that a call has failed."""


class CircuitBreaker:
    """Opens after `threshold` failures in a row. After `recovery` seconds one probe decides whether it closes."""

    def __init__(self, threshold: int, recovery: float) -> None:
        self._factory = AsyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=recovery)
        self._factory.add_listener(self._on_event)
        self._circuit: AsyncCircuitBreaker | None = None
        self._recovery = recovery
        self._probing = False
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Makes purgatory's circuit. To be awaited before anything else is used."""
        await self._factory.initialize()
        self._circuit = await self._factory.get_breaker("directory")
        metrics.BREAKER_STATE.state(BreakerState.CLOSED.value)

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half-open (one probe at a time)."""
        state = _STATES[self._context.state]
        return BreakerState.HALF_OPEN if state is BreakerState.OPEN and self._open_seconds() <= 0 else state

    @property
    def _context(self) -> Any:
        if self._circuit is None:
            raise RuntimeError("the breaker has not been started")
        return self._circuit.context

    async def acquire(self) -> bool:
        """Returns when a call may be made; True when it is the probe, which has to end with `release_probe`."""
        while self._context.state != "closed":
            self._changed.clear()
            if not self._probing and self._open_seconds() <= 0:
                self._probing = True
                return True
            await self._wait_for_change()
        return False

    def _open_seconds(self) -> float:
        opened_at = self._context.opened_at
        # purgatory lets the first call through *after* the recovery time has passed: a millisecond more is needed.
        # It reads the wall clock itself, so no other clock can be handed in here.
        return float(opened_at) + self._recovery + 0.001 - time.time() if opened_at is not None else 0.0

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(max(self._open_seconds(), 0.01) if not self._probing else None):
                await self._changed.wait()
        except TimeoutError:
            return

    def release_probe(self) -> None:
        """The probe has ended, or there was nothing to probe with."""
        self._probing = False
        self._changed.set()

    def call(self) -> "CountedCall":
        """A call that the breaker counts: `async with` it, and `record` the call's outcome in it."""
        if self._circuit is None:
            raise RuntimeError("the breaker has not been started")
        return CountedCall(self._circuit)

    def _on_event(self, _name: str, what: str, event: Any) -> None:
        if what != "state_changed":
            return
        state = _STATES[event.state]
        metrics.BREAKER_STATE.state(state.value)
        log.warning("breaker_changed", state=state.value, recovery_seconds=self._recovery)
        self._changed.set()


class CountedCall:
    """One call as the circuit breaker counts it. Entering raises CircuitOpen when the call must not be made."""

    def __init__(self, circuit: AsyncCircuitBreaker) -> None:
        self._circuit = circuit
        self._outcome: object = None

    async def __aenter__(self) -> Self:
        try:
            await self._circuit.__aenter__()
        except OpenedState as opened:
            raise CircuitOpen from opened
        return self

    def record(self, outcome: object) -> None:
        """How the call ended."""
        self._outcome = outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._outcome, NotSent):
            return  # it proves nothing: the count of failures stays, and another call may be the probe
        if isinstance(self._outcome, FAILURES):
            kind, error = _CallFailed, _CallFailed()
        await self._circuit.__aexit__(kind, error, trace)
