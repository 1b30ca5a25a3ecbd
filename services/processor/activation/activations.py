"""The batches to activate: those of a job whose rows were all created, and those that somebody asks for by hand.

At least once is enough here, because activation may be repeated. The group's offset passes a request when its answer
has been written. After a crash the answer may be written again, with the same event id. A request may be sent only
while its lease holds, so a frozen or replaced processor sends nothing more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from services.processor import metrics
from services.processor.activation.group_lease import GroupLease
from services.processor.directory.outcomes import (
    Activated,
    ActivationOutcome,
    Conflicted,
    ConnectionFailed,
    NotSent,
    Rejected,
    ServerError,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from services.processor.limits.backoff import Backoff
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobFinished,
    JobOutcome,
)

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Activation:
    """A request to activate one batch. `done` is called when its answer has been written."""

    tenant: str
    job_id: str
    batch_id: str
    request_id: str
    lease: GroupLease
    done: Callable[[], None]
    failures: int = 0
    backoff_count: int = 0

    def activated(self, message: str) -> BatchActivated:
        """The answer when the directory has activated the batch."""
        return BatchActivated(
            tenant=self.tenant, job_id=self.job_id, batch_id=self.batch_id, request_id=self.request_id, message=message
        )

    def failed(self, message: str, status: int | None) -> BatchActivationFailed:
        """The answer when the directory will not activate the batch."""
        return BatchActivationFailed(
            tenant=self.tenant,
            job_id=self.job_id,
            batch_id=self.batch_id,
            request_id=self.request_id,
            message=message,
            http_status=status,
        )


def requested_by(event: Event, lease: GroupLease, done: Callable[[], None]) -> list[Activation]:
    """The activations that an event of `hospital.jobs` asks for. `done` is called when all of them are done."""
    match event:
        case JobFinished(outcome=JobOutcome.ALL_CREATED):
            batches, request_id = event.batch_ids, f"finished:{event.round}"
        case BatchActivationRequested():
            batches, request_id = (event.batch_id,), event.request_id
        case _:
            return []
    left = len(batches)

    def one_done() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done()

    return [Activation(event.tenant, event.job_id, batch, request_id, lease, one_done) for batch in batches]


class Activations:
    """The requests that wait to be sent. `publish` returns when the event has been written."""

    def __init__(
        self,
        max_attempts: int,
        backoff: Backoff,
        publish: Callable[[Event], Awaitable[None]],
        notify: Callable[[], None],
    ) -> None:
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._publish = publish
        self._notify = notify
        self._queue: deque[Activation] = deque()

    @property
    def ready(self) -> int:
        """How many may be sent now."""
        return len(self._queue) if self._queue and self._queue[0].lease.holds else 0

    def add(self, activation: Activation) -> None:
        """Takes a request, unless its lease has ended."""
        if not activation.lease.ended:
            self._queue.append(activation)
            self._notify()

    def lease_renewed(self) -> None:
        """The lease holds again: waiting requests may be sent."""
        if self._queue:
            self._notify()

    def drop_ended(self) -> None:
        """Drops the requests whose lease has ended: whoever has the partition now reads them again."""
        self._queue = deque(activation for activation in self._queue if not activation.lease.ended)

    def take(self) -> Activation | None:
        """The next request to send, None when there is none. Hand its outcome to `record_outcome`."""
        return self._queue.popleft() if self.ready else None

    def least_failed(self) -> Activation | None:
        """Of the requests that may be sent now the one that failed least often in a row."""
        return min(self._queue, key=lambda activation: activation.backoff_count) if self.ready else None

    def begin(self, activation: Activation) -> None:
        """This request is sent now. Hand its outcome to `record_outcome`."""
        self._queue.remove(activation)

    async def record_outcome(self, activation: Activation, outcome: ActivationOutcome) -> None:
        """Writes the answer, or puts the request back for a retry."""
        match outcome:
            case Activated(message):
                await self._answer(activation, activation.activated(message))
            case Rejected(status, message) | Conflicted(message, status):
                await self._answer(activation, activation.failed(message, status))
            case ServerError(message, status):
                activation.failures += 1
                if activation.failures >= self._max_attempts:
                    await self._answer(activation, activation.failed(message, status))
                else:
                    self._retry_later(activation, message)
            case ServiceRejected(_, message) | ConnectionFailed(message) | Unanswered(message):
                self._retry_later(activation, message)
            case NotSent() | Throttled():
                self.add(activation)
            case _:
                assert_never(outcome)

    async def _answer(self, activation: Activation, answer: BatchActivated | BatchActivationFailed) -> None:
        await self._publish(answer)
        metrics.ACTIVATIONS.labels(type(answer).__name__).inc()
        log.info(
            "batch_activation",
            job_id=activation.job_id,
            batch_id=activation.batch_id,
            answer=type(answer).__name__,
            message=answer.message,
        )
        activation.done()

    def _retry_later(self, activation: Activation, reason: str) -> None:
        activation.backoff_count += 1
        wait = self._backoff.seconds(activation.backoff_count)
        log.warning(
            "activation_postponed", batch_id=activation.batch_id, reason=reason, again_in_seconds=round(wait, 1)
        )
        asyncio.get_running_loop().call_later(wait, self.add, activation)
