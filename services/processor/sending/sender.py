"""What is called next, and when: the one place from which the directory is called.

A call needs, in this order: something to do, a connection, the breaker, a turn of the pace. Only then is chosen what
to do: a look-up, an activation, an express row, a bulk row (which gets every fifth turn, so that it never starves).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog

from services.processor import metrics
from services.processor.activation.activations import Activation, Activations
from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import (
    ActivationOutcome,
    CallOutcome,
    Created,
    LookupFailed,
    LookUpOutcome,
    NotSent,
    Rejected,
    Throttled,
    Unanswered,
)
from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.row import Row
from services.processor.lane.transitions import Finished, LookUp, Retry, after_call
from services.processor.limits.backoff import Backoff
from services.processor.limits.circuit_breaker import CircuitBreaker, CircuitOpen
from services.processor.limits.rate_limit import RateLimit
from services.processor.sending.lookups import LookupQueue
from services.processor.settings import DirectorySettings
from shared.contract.events import BreakerState
from shared.contract.topics import Topics

log = structlog.get_logger(__name__)

#: Of this many turns one is for bulk rows even while express rows wait.
BULK_TURN = 5

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class SenderParts:
    """The parts that a sender brings together."""

    directory: DirectoryClient
    breaker: CircuitBreaker
    rate_limit: RateLimit
    lookups: LookupQueue
    activations: Activations
    job_commands: JobCommands
    backoff: Backoff


class Sender:
    """Calls the directory for all lanes of a processor."""

    def __init__(
        self,
        settings: DirectorySettings,
        topics: Topics,
        parts: SenderParts,
        lanes: Callable[[], Iterable[Lane]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._express, self._bulk = topics.rows
        self._parts = parts
        self._lanes = lanes
        self._clock = clock
        self._connections = asyncio.Semaphore(settings.hospital_api_max_connections)
        self._changed = asyncio.Event()
        self._turn = 0

    def notify(self) -> None:
        """There may be something to do."""
        self._changed.set()

    async def run(self) -> None:
        """Sends until cancelled, and then ends the calls in flight: their rows stay in doubt.

        A mistake in a call ends it too: the call's row would otherwise be in flight for ever, and nobody would know.
        """
        async with asyncio.TaskGroup() as calls:
            while True:
                await self._something_to_do()
                await self._connections.acquire()
                probe = await self._parts.breaker.acquire()
                await self._parts.rate_limit.acquire()
                if not probe and self._parts.breaker.state is not BreakerState.CLOSED:
                    self._let_go(probe=probe)  # it opened while the turn was waited for: only a probe may go now
                    continue
                work = self._choose(probe=probe)
                if work is None:
                    self._let_go(probe=probe)
                    await asyncio.sleep(0)  # whatever changed its mind has to get its turn
                    continue
                calls.create_task(self._perform(work, probe=probe))

    async def _something_to_do(self) -> None:
        while not self._is_something_to_do():
            self._changed.clear()
            due = self._parts.lookups.next_due()
            try:
                async with asyncio.timeout(max(due - self._clock(), 0.001) if due is not None else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _is_something_to_do(self) -> bool:
        if not self._parts.job_commands.may_send:
            return False
        due = self._parts.lookups.next_due()
        if (due is not None and due <= self._clock()) or self._parts.activations.ready:
            return True
        return any(lane.next_row(self._express) or lane.next_row(self._bulk) for lane in self._lanes())

    def _choose(self, *, probe: bool) -> Work | None:
        if not self._parts.job_commands.may_send:
            return None
        if probe:
            return self._choose_probe()
        if (batch_id := self._parts.lookups.take()) is not None:
            return lambda: self._look_up(batch_id)
        if (request := self._parts.activations.take()) is not None:
            return lambda: self._activate(request)
        row = next(self._rows(), None)
        return self._send(row) if row is not None else None

    def _choose_probe(self) -> Work | None:
        """What was set back least: what fails for itself must not keep the breaker open for all the others."""
        lookups, activations = self._parts.lookups, self._parts.activations
        offers: list[tuple[int, Callable[[], Work]]] = []
        if (batch := lookups.least_failed()) is not None:
            backoff_count, batch_id = batch
            offers.append((backoff_count, lambda: self._begin_look_up(batch_id)))
        if (request := activations.least_failed()) is not None:
            offers.append((request.backoff_count, lambda: self._begin_activation(request)))
        if (row := min(self._rows(), key=lambda row: row.backoff_count, default=None)) is not None:
            offers.append((row.backoff_count, lambda: self._send(row)))
        begin = min(offers, key=lambda offer: offer[0], default=(0, None))[1]
        return begin() if begin is not None else None

    def _begin_look_up(self, batch_id: str) -> Work:
        self._parts.lookups.begin(batch_id)
        return lambda: self._look_up(batch_id)

    def _begin_activation(self, request: Activation) -> Work:
        self._parts.activations.begin(request)
        return lambda: self._activate(request)

    def _send(self, row: Row) -> Work:
        row.lane.call_begins(row)
        return lambda: self._create(row)

    def _rows(self) -> Iterator[Row]:
        """The next row of every lane and topic, in the order of their turns."""
        self._turn += 1
        order = (self._express, self._bulk) if self._turn % BULK_TURN else (self._bulk, self._express)
        lanes = list(self._lanes())
        start = self._turn % len(lanes) if lanes else 0
        return (row for topic in order for lane in lanes[start:] + lanes[:start] if (row := lane.next_row(topic)))

    async def _perform(self, work: Work, *, probe: bool) -> None:
        try:
            await work()
        except Exception:
            log.exception("call_failed")
            raise
        finally:
            self._let_go(probe=probe)

    def _let_go(self, *, probe: bool) -> None:
        self._connections.release()
        if probe:
            self._parts.breaker.release_probe()

    # ---- look-ups ----------------------------------------------------------------------------------------------------

    async def _look_up(self, batch_id: str) -> None:
        began = self._clock()
        outcome: LookUpOutcome
        try:
            async with self._parts.breaker.call() as call:
                outcome = await self._parts.directory.look_up(
                    batch_id, lambda: self._parts.lookups.may_look_up(batch_id) and self._parts.job_commands.may_send
                )
                call.record(outcome)
        except CircuitOpen:
            outcome = NotSent()
        self._observe("look_up", began, outcome)
        self._parts.lookups.record_outcome(batch_id, began, outcome)

    # ---- activations -------------------------------------------------------------------------------------------------

    async def _activate(self, activation: Activation) -> None:
        began = self._clock()
        outcome: ActivationOutcome
        try:
            async with self._parts.breaker.call() as call:
                outcome = await self._parts.directory.activate(
                    activation.batch_id, lambda: activation.lease.holds and self._parts.job_commands.may_send
                )
                call.record(outcome)
        except CircuitOpen:
            outcome = NotSent()
        self._observe("activate", began, outcome)
        await self._parts.activations.record_outcome(activation, outcome)

    # ---- creations ---------------------------------------------------------------------------------------------------

    async def _create(self, row: Row) -> None:
        began = self._clock()
        try:
            outcome = await self._call(row)
            self._observe("create", began, outcome)
            self._settle(row, outcome, began)
        finally:
            row.lane.call_ended()

    async def _call(self, row: Row) -> CallOutcome:
        try:
            async with self._parts.breaker.call() as call:
                outcome = await self._parts.directory.create(
                    row.event, lambda: row.lane.permits(row) and self._parts.job_commands.may_send, row.traceparent
                )
                call.record(outcome)
        except CircuitOpen:
            return NotSent()
        return outcome

    def _observe(self, call: str, began: float, outcome: object) -> None:
        metrics.calls(call, type(outcome).__name__).inc()
        metrics.call_seconds(call).observe(self._clock() - began)
        match outcome:
            case Throttled(seconds):
                self._parts.rate_limit.retry_after(seconds or self._settings.retry_min_wait)
            case Unanswered(retry_after=seconds) | LookupFailed(retry_after=seconds) if seconds:
                self._parts.rate_limit.retry_after(seconds)

    def _settle(self, row: Row, outcome: CallOutcome, began: float) -> None:
        if row.lane.end is not None:
            return  # the lane has another owner, who looks the row up
        row.attempts += isinstance(outcome, (Created, Rejected))
        if isinstance(outcome, Created):
            self._parts.lookups.remember_created(row, outcome.hospital_id, echoed=outcome.echoed)
        match after_call(row, outcome):
            case Finished(result):
                row.lane.finish(row, result)
            case Retry(error):
                row.last_error = error or row.last_error
                row.backoff_count += error is not None
                row.lane.retry(row, self._parts.backoff.seconds(row.backoff_count) if error else 0.0)
            case LookUp() as doubt:
                self._log_doubt(row, doubt)
                row.last_error = doubt.error
                row.counts_as_attempt, row.conflicted = doubt.counts_as_attempt, doubt.conflicted
                row.backoff_count += not doubt.counts_as_attempt
                settled = began + self._settings.hospital_api_timeout + self._settings.hospital_api_settle_seconds
                row.lane.put_in_doubt(row, settled if doubt.after_settle_time else began)

    @staticmethod
    def _log_doubt(row: Row, doubt: LookUp) -> None:
        log.info(
            "row_in_doubt",
            job_id=row.event.job_id,
            row=row.event.row,
            reason=doubt.error.message,
            http_status=doubt.error.status,
        )
