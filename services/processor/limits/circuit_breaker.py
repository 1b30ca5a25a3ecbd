"""The circuit breaker: purgatory's, with a gate that lets one probe through at a time when it is half-open.

While it is open rows wait, they do not fail. purgatory itself would let every waiting caller through at once.
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
from services.processor.directory.outcomes import TROUBLE, Withheld
from shared.contract.events import BreakerState

log = structlog.get_logger(__name__)

_STATES = {"closed": BreakerState.CLOSED, "opened": BreakerState.OPEN, "half-opened": BreakerState.HALF_OPEN}


class BreakerOpened(Exception):
    """The breaker opened between the decision to send and the call: nothing was sent."""


class _Troubled(Exception):
    """Tells purgatory that a call has failed."""


class Breaker:
    """Opens after `threshold` failures in a row; after `recovery` seconds one probe decides."""

    def __init__(self, threshold: int, recovery: float) -> None:
        self._factory = AsyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=recovery)
        self._factory.add_listener(self._changed)
        self._circuit: AsyncCircuitBreaker | None = None
        self._recovery = recovery
        self._probing = False
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Makes the circuit."""
        await self._factory.initialize()
        self._circuit = await self._factory.get_breaker("directory")
        metrics.BREAKER_STATE.state(BreakerState.CLOSED.value)

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half-open (one probe at a time)."""
        state = _STATES[self._context.state]
        return BreakerState.HALF_OPEN if state is BreakerState.OPEN and self._wait() <= 0 else state

    @property
    def _context(self) -> Any:
        if self._circuit is None:
            raise RuntimeError("the breaker has not been started")
        return self._circuit.context

    async def admission(self) -> bool:
        """Returns when a call may be made; True when it is the probe, which has to end with `probe_over`."""
        while self._context.state != "closed":
            self._news.clear()
            if not self._probing and self._wait() <= 0:
                self._probing = True
                return True
            await self._wait_for_news()
        return False

    def _wait(self) -> float:
        opened_at = self._context.opened_at
        # purgatory lets the first call through *after* the recovery time has passed, so a hair more is needed.
        return float(opened_at) + self._recovery + 0.001 - time.time() if opened_at is not None else 0.0

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(max(self._wait(), 0.01) if not self._probing else None):
                await self._news.wait()
        except TimeoutError:
            return

    def probe_over(self) -> None:
        """The probe has ended, or nobody wanted to make it."""
        self._probing = False
        self._news.set()

    def judging(self) -> "Judgement":
        """A call under the breaker's eyes: `async with` it, and hand it the call's outcome."""
        if self._circuit is None:
            raise RuntimeError("the breaker has not been started")
        return Judgement(self._circuit)

    def _changed(self, _name: str, what: str, event: Any) -> None:
        if what != "state_changed":
            return
        state = _STATES[event.state]
        metrics.BREAKER_STATE.state(state.value)
        log.warning("breaker_changed", state=state.value, recovery_seconds=self._recovery)
        self._news.set()


class Judgement:
    """Tells purgatory of one call. Entering raises BreakerOpened when the call must not be made."""

    def __init__(self, circuit: AsyncCircuitBreaker) -> None:
        self._circuit = circuit
        self._outcome: object = None

    async def __aenter__(self) -> Self:
        try:
            await self._circuit.__aenter__()
        except OpenedState as opened:
            raise BreakerOpened from opened
        return self

    def on(self, outcome: object) -> None:
        """How the call ended."""
        self._outcome = outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._outcome, Withheld):
            return  # it proves nothing: the count of failures stands, and of a probe the place is free for the next
        if isinstance(self._outcome, TROUBLE):
            kind, error = _Troubled, _Troubled()
        await self._circuit.__aexit__(kind, error, trace)
