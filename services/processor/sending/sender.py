"""The one place from which the directory is called: wait until a call may be made, choose, call, hand the outcome back.

A call waits for, in this order: something to do, a connection, the circuit breaker, the rate limit. What is called is
chosen only then, by `choice`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from services.processor import metrics
from services.processor.activation.activations import Activation
from services.processor.activation.transitions import after_activation
from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import (
    ActivationOutcome,
    CallOutcome,
    Created,
    LookupFailed,
    LookUpOutcome,
    NotSent,
    Throttled,
    Unanswered,
)
from services.processor.directory.send_guard import SendGuard
from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.row import Row
from services.processor.lane.transitions import AttemptRules, LookUp, after_call
from services.processor.limits.circuit_breaker import CircuitBreaker, CircuitOpen
from services.processor.limits.rate_limit import RateLimit
from services.processor.sending.choice import ActivationCall, BatchLookUp, Choice, Choices, RowCall
from services.processor.sending.lookups import LookupQueue
from services.processor.settings import DirectorySettings
from shared.contract.events import BreakerState
from shared.contract.topics import Topics

log = structlog.get_logger(__name__)

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class SenderParts:
    """The parts that a sender brings together."""

    directory: DirectoryClient
    breaker: CircuitBreaker
    rate_limit: RateLimit
    lookups: LookupQueue
    job_commands: JobCommands
    rules: AttemptRules


class Sender:
    """Calls the directory for all lanes of a processor. `clock`: seconds of the monotonic clock."""

    def __init__(
        self,
        settings: DirectorySettings,
        topics: Topics,
        parts: SenderParts,
        lanes: Callable[[], Iterable[Lane]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._choices = Choices(topics, parts.lookups, parts.job_commands, lanes)
        self._clock = clock
        self._connections = asyncio.Semaphore(settings.hospital_api_max_connections)
        self._notified = asyncio.Event()

    def notify(self) -> None:
        """There may be something to do."""
        self._notified.set()

    async def run(self) -> None:
        """Sends until cancelled, and then ends the calls in flight: their rows stay in doubt.

        A programming error in a call ends it too. Otherwise the call's row would stay in flight for ever, unnoticed.
        """
        async with asyncio.TaskGroup() as calls:
            while True:
                probe = await self._wait()
                choice = self._choices.take_probe() if probe else self._choices.take()
                if choice is not None:
                    calls.create_task(self._perform(choice, probe=probe))
                    continue
                self._release(probe=probe)
                await asyncio.sleep(0)  # there was something to do a moment ago: let what changed that go on

    # ---- wait --------------------------------------------------------------------------------------------------------

    async def _wait(self) -> bool:
        """Returns when a call may be made at once, with its connection; True when it is the breaker's probe."""
        while True:
            await self._something_to_do()
            await self._connections.acquire()
            probe = await self._parts.breaker.acquire()
            await self._parts.rate_limit.acquire()
            if probe or self._parts.breaker.state is BreakerState.CLOSED:
                return probe
            self._release(probe=probe)  # the breaker opened during the wait: only a probe may go now

    async def _something_to_do(self) -> None:
        while not self._choices.is_any(self._clock()):
            self._notified.clear()
            due = self._parts.lookups.next_due()
            try:
                async with asyncio.timeout(max(due - self._clock(), 0.001) if due is not None else None):
                    await self._notified.wait()
            except TimeoutError:
                continue

    def _release(self, *, probe: bool) -> None:
        self._connections.release()
        if probe:
            self._parts.breaker.release_probe()

    # ---- call, and hand the outcome back -----------------------------------------------------------------------------

    async def _perform(self, choice: Choice, *, probe: bool) -> None:
        try:
            match choice:
                case BatchLookUp(batch_id):
                    await self._look_up(batch_id)
                case ActivationCall(lane, activation):
                    await self._activate(lane, activation)
                case RowCall(lane, row):
                    await self._create(lane, row)
        except Exception:
            log.exception("call_failed")
            raise
        finally:
            self._release(probe=probe)

    async def _look_up(self, batch_id: str) -> None:
        began, send = self._clock(), partial(self._parts.directory.look_up, batch_id)
        outcome = await self._call("look_up", send, lambda: self._parts.lookups.may_look_up(batch_id))
        self._parts.lookups.record_outcome(batch_id, began, outcome)

    async def _activate(self, lane: Lane, activation: Activation) -> None:
        directory, request, rules = self._parts.directory, activation.request, self._parts.rules
        outcome: ActivationOutcome | LookUpOutcome
        try:
            if activation.progress.look_up_first:
                send = partial(directory.look_up, request.batch_id)
                outcome = await self._call("look_up", send, lane.activations.permitted)
            else:
                activate = partial(directory.activate, request.batch_id)
                outcome = await self._call("activate", activate, lane.activations.permitted)
            before = activation.progress
            lane.activations.apply(
                activation, *after_activation(request, before, outcome, rules.max_attempts, rules.backoff)
            )
        finally:
            lane.activations.call_ended()

    async def _create(self, lane: Lane, row: Row) -> None:
        began = self._clock()
        send = partial(self._parts.directory.create, row.event, traceparent=row.delivered.traceparent)
        try:
            outcome = await self._call("create", send, lambda: lane.permits(row))
            self._hand_back(lane, row, outcome, began)
        finally:
            lane.call_ended()

    async def _call(
        self, name: str, send: Callable[[SendGuard], Awaitable[Outcome]], permitted: SendGuard
    ) -> Outcome | NotSent:
        """Makes one call, counted by the circuit breaker and by the metrics `name`.

        NotSent when the breaker has opened, sending has been paused, or the call is not `permitted` any more.
        """
        began = self._clock()
        outcome: Outcome | NotSent
        try:
            async with self._parts.breaker.call() as counted:
                outcome = await send(lambda: permitted() and self._parts.job_commands.may_send)
                counted.record(outcome)
        except CircuitOpen:
            outcome = NotSent()
        metrics.calls(name, type(outcome).__name__).inc()
        metrics.call_seconds(name).observe(self._clock() - began)
        self._obey_retry_after(outcome)
        return outcome

    def _obey_retry_after(self, outcome: object) -> None:
        match outcome:
            case Throttled(seconds):
                self._parts.rate_limit.retry_after(seconds or self._settings.retry_min_wait)
            case Unanswered(retry_after=seconds) | LookupFailed(retry_after=seconds) if seconds:
                self._parts.rate_limit.retry_after(seconds)

    def _hand_back(self, lane: Lane, row: Row, outcome: CallOutcome, began: float) -> None:
        """Tells the row's lane what follows from its call, which began at that time."""
        if lane.ended:
            return  # the lane has another owner, who looks the row up
        if isinstance(outcome, Created):
            self._parts.lookups.remember_created(row, outcome.hospital_id, echoed=outcome.echoed)
        attempts, following = after_call(row, outcome, began, self._parts.rules)
        if isinstance(following, LookUp) and (error := attempts.last_error) is not None:
            log.info(
                "row_in_doubt",
                job_id=row.event.job_id,
                row=row.event.row,
                reason=error.message,
                http_status=error.status,
            )
        lane.apply(row, attempts, following)
