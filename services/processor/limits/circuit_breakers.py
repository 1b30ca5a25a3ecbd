"""A circuit breaker for each kind of call: look-ups that fail must not keep rows waiting, nor rows look-ups.

Only a connection that cannot be made counts for all kinds, since it says nothing about the call.
"""

import time
from collections.abc import Callable, Hashable
from enum import StrEnum
from types import TracebackType
from typing import Self

from services.processor import metrics
from services.processor.directory.outcomes import FAILURES, ConnectionFailed, NotSent
from services.processor.limits.circuit_breaker import CircuitBreaker, CountedCall
from shared.contract.events import BreakerState


class CallKind(StrEnum):
    """What is asked of the directory. The values are those of the metrics' label `call`."""

    CREATE = "create"
    LOOK_UP = "look_up"
    ACTIVATE = "activate"


class CircuitBreakers:
    """The breakers of one processor, by kind of call. `threshold` and `recovery` as in `CircuitBreaker`.

    `on_change` is called when a breaker has changed, or when another call may be its probe. `clock` is monotonic.
    """

    def __init__(
        self,
        threshold: int,
        recovery: float,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        #: Whether a call of any kind has succeeded since a breaker opened last.
        self._something_succeeds = True
        self._shown: BreakerState | None = None
        self._breakers = {
            kind: CircuitBreaker(threshold, recovery, clock, self._changed, kind.value) for kind in CallKind
        }

    async def start(self) -> None:
        """To be awaited before anything else is used."""
        for breaker in self._breakers.values():
            await breaker.start()
        self._show()

    @property
    def state(self) -> BreakerState:
        """What an operator has to know: that of creations, or of another breaker while nothing succeeds at all."""
        return self._telling.state

    @property
    def seconds_until_try(self) -> float | None:
        """When the breaker that `state` tells of tries the directory, or did, in seconds from now; None when closed."""
        return self._telling.seconds_until_try

    @property
    def _telling(self) -> CircuitBreaker:
        creations, *others = (self._breakers[kind] for kind in CallKind)
        if creations.state is not BreakerState.CLOSED or self._something_succeeds:
            return creations
        return next((other for other in others if other.state is not BreakerState.CLOSED), creations)

    def may_call(self, kind: CallKind) -> bool:
        """Whether a call of that kind may be made now, be it as a probe."""
        return self._breakers[kind].may_call

    def is_half_open(self, kind: CallKind) -> bool:
        """Whether the next call of that kind is a probe: choose what has failed least."""
        return self._breakers[kind].state is BreakerState.HALF_OPEN

    def open_seconds(self, kind: CallKind) -> float:
        """How long no call of that kind may be made; 0 when one may, be it as a probe."""
        return self._breakers[kind].open_seconds

    def seconds_until_probe(self) -> float | None:
        """When the first of the open breakers lets a probe through, in seconds from now. None when none is open."""
        open_seconds = [breaker.open_seconds for breaker in self._breakers.values()]
        return min((seconds for seconds in open_seconds if seconds > 0), default=None)

    def begin(self, kind: CallKind, subject: Hashable = None) -> "CallOfKind":
        """The call that was chosen: `async with` it, and `record` its outcome in it.

        Of a half-open breaker it is the probe from now on, so that no second one is chosen. `subject` as in
        `CircuitBreaker.call`: the batch of a look-up, which is repeated for as long as it takes. None for rows and
        activations: they have a limit of attempts, so in an outage a single one has to open the breaker too.
        """
        breaker = self._breakers[kind]
        return CallOfKind(self, breaker, breaker.call(subject), is_probe=breaker.begin_probe())

    async def call_ended(self, breaker: CircuitBreaker, outcome: object) -> None:
        """Counts what concerns all kinds. Only `CallOfKind` needs this."""
        if isinstance(outcome, ConnectionFailed):
            for other in self._breakers.values():
                if other is not breaker and other.state is BreakerState.CLOSED:
                    await other.end_call(outcome, None)
        elif not isinstance(outcome, (NotSent, *FAILURES)):
            self._something_succeeds = True
        self._show()

    def probe_ended(self) -> None:
        """Another call may be the probe. Only `CallOfKind` needs this."""
        self._on_change()

    def _changed(self, state: BreakerState) -> None:
        if state is BreakerState.OPEN:
            self._something_succeeds = False
        self._on_change()

    def _show(self) -> None:
        if (state := self.state) is not self._shown:
            self._shown = state
            metrics.BREAKER_STATE.state(state.value)


class CallOfKind:
    """One call, counted by the breaker of its kind. Entering raises CircuitOpen when it must not be made."""

    def __init__(
        self, breakers: CircuitBreakers, breaker: CircuitBreaker, counted: CountedCall, *, is_probe: bool
    ) -> None:
        self._breakers = breakers
        self._breaker = breaker
        self._counted = counted
        self._outcome: object = NotSent()
        self.is_probe = is_probe

    async def __aenter__(self) -> Self:
        try:
            await self._counted.__aenter__()
        except BaseException:
            self.release()
            raise
        return self

    def record(self, outcome: object) -> None:
        """How the call ended."""
        self._outcome = outcome
        self._counted.record(outcome)

    def release(self) -> None:
        """The call has ended, or will not be made after all: another one may be the probe."""
        if self.is_probe:
            self.is_probe = False
            self._breaker.release_probe()
            self._breakers.probe_ended()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._counted.__aexit__(kind, error, trace)
            await self._breakers.call_ended(self._breaker, self._outcome)
        finally:
            self.release()
