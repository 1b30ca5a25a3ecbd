"""The one place from which the directory is called: wait until a call may be made, choose, call, hand the outcome back.

A call waits for, in this order: something that may be called, a connection, the rate limit. What is called is chosen
only then, by `choice`.
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
    ServerError,
    Throttled,
    Unanswered,
)
from services.processor.directory.send_guard import SendGuard
from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.row import Row
from services.processor.lane.transitions import AttemptRules, LookUp, after_call
from services.processor.limits.circuit_breaker import CircuitOpen
from services.processor.limits.circuit_breakers import CircuitBreakers
from services.processor.limits.rate_limit import RateLimit
from services.processor.sending.choice import ActivationCall, BatchLookUp, Choices, ChosenCall, RowCall
from services.processor.sending.lookups import LookupQueue
from services.processor.settings import DirectorySettings
from shared.contract.topics import Topics

log = structlog.get_logger(__name__)

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class SenderParts:
    """The parts that a sender brings together."""

    directory: DirectoryClient
    breakers: CircuitBreakers
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
        connections = settings.hospital_api_max_connections
        self._choices = Choices(topics, parts.lookups, parts.breakers, parts.job_commands, lanes, connections)
        self._clock = clock
        self._connections = asyncio.Semaphore(connections)
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
                await self._wait()
                call = self._choices.take()
                if call is not None:
                    calls.create_task(self._perform(call))
                    continue
                self._connections.release()
                await asyncio.sleep(0)  # there was something to do a moment ago: let what changed that go on

    # ---- wait --------------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Returns when a call may be made at once, with its connection."""
        await self._something_to_do()
        await self._connections.acquire()
        await self._parts.rate_limit.acquire()

    async def _something_to_do(self) -> None:
        while not self._choices.is_any():
            self._notified.clear()
            try:
                async with asyncio.timeout(self._seconds_until_something_is_due()):
                    await self._notified.wait()
            except TimeoutError:
                continue

    def _seconds_until_something_is_due(self) -> float | None:
        """How long until a look-up is due or an open breaker lets a probe through. None when nothing waits for that."""
        due = self._parts.lookups.next_due()
        waits = (None if due is None else due - self._clock(), self._parts.breakers.seconds_until_probe())
        return min((max(wait, 0.001) for wait in waits if wait is not None), default=None)

    # ---- call, and hand the outcome back -----------------------------------------------------------------------------

    async def _perform(self, call: ChosenCall) -> None:
        try:
            match call.choice:
                case BatchLookUp(batch_id):
                    await self._look_up(call, batch_id)
                case ActivationCall(lane, activation):
                    await self._activate(call, lane, activation)
                case RowCall(lane, row):
                    await self._create(call, lane, row)
        except Exception:
            log.exception("call_failed")
            raise
        finally:
            self._choices.ended(call)
            self._connections.release()
            if call.repeats:
                self.notify()  # another one may be repeated now

    async def _look_up(self, call: ChosenCall, batch_id: str) -> None:
        began, send = self._clock(), partial(self._parts.directory.look_up, batch_id)
        outcome = await self._call(call, send, lambda: self._parts.lookups.may_look_up(batch_id))
        self._parts.lookups.record_outcome(batch_id, began, outcome)

    async def _activate(self, call: ChosenCall, lane: Lane, activation: Activation) -> None:
        directory, request, rules = self._parts.directory, activation.request, self._parts.rules
        outcome: ActivationOutcome | LookUpOutcome
        try:
            if activation.progress.look_up_first:
                send = partial(directory.look_up, request.batch_id)
                outcome = await self._call(call, send, lane.activations.permitted)
            else:
                activate = partial(directory.activate, request.batch_id)
                outcome = await self._call(call, activate, lane.activations.permitted)
            before = activation.progress
            lane.activations.apply(
                activation, *after_activation(request, before, outcome, rules.max_attempts, rules.backoff)
            )
        finally:
            lane.activations.call_ended()

    async def _create(self, call: ChosenCall, lane: Lane, row: Row) -> None:
        sent = self._clock()

        def permitted() -> bool:
            # Asked right before the first byte, which may come long after the choice: a connection had to be opened.
            nonlocal sent
            sent = self._clock()
            return lane.permits(row)

        send = partial(self._parts.directory.create, row.event, traceparent=row.delivered.traceparent)
        try:
            outcome = await self._call(call, send, permitted)
            self._hand_back(lane, row, outcome, sent)
        finally:
            lane.call_ended()

    async def _call(
        self, call: ChosenCall, send: Callable[[SendGuard], Awaitable[Outcome]], permitted: SendGuard
    ) -> Outcome | NotSent:
        """Makes the call, counted by the circuit breaker and the metrics of its kind.

        NotSent when the breaker has opened, sending has been paused, or the call is not `permitted` any more.
        """
        began, name = self._clock(), call.choice.kind.value
        outcome: Outcome | NotSent
        try:
            async with call.counted as counted:
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

    def _hand_back(self, lane: Lane, row: Row, outcome: CallOutcome, sent: float) -> None:
        """Tells the row's lane what follows from its call, whose first byte was sent at that time (monotonic)."""
        if lane.ended:
            return  # the lane has another owner, who looks the row up
        if isinstance(outcome, Created):
            self._parts.lookups.remember_created(row, outcome.hospital_id, echoed=outcome.echoed)
        if isinstance(outcome, ServerError):
            lane.skip_ahead(row.topic)  # the directory answers: perhaps it cannot take this row, or the job's like it
        attempts, following = after_call(row, outcome, sent, self._parts.rules)
        if isinstance(following, LookUp) and (error := attempts.last_error) is not None:
            log.info(
                "row_in_doubt",
                job_id=row.event.job_id,
                row=row.event.row,
                reason=error.message,
                http_status=error.status,
            )
        lane.apply(row, attempts, following)
