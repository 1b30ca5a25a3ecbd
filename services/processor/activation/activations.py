"""Activates batches: those of a job whose rows were all created, and those that somebody asks for by hand.

Activation may be repeated without harm, so at least once is enough here: the group's offset passes a request when its
answer has been written, and an answer that a crash makes appear twice has the same event id. All the same a processor
that is frozen or replaced sends nothing more: a request may be sent only while its tenure holds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from services.processor import metrics
from services.processor.activation.group_lease import Tenure
from services.processor.directory.outcomes import (
    Activated,
    ActivationOutcome,
    Conflicted,
    NeverSent,
    Refused,
    Rejected,
    ServerError,
    Throttled,
    Unanswered,
    Withheld,
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
    """One batch that is to be activated. `done` is called when its answer has been written."""

    tenant: str
    job_id: str
    batch_id: str
    request_id: str
    tenure: Tenure
    done: Callable[[], None]
    failures: int = 0
    setbacks: int = 0

    def activated(self, message: str) -> BatchActivated:
        """The answer when it worked."""
        return BatchActivated(
            tenant=self.tenant, job_id=self.job_id, batch_id=self.batch_id, request_id=self.request_id, message=message
        )

    def failed(self, message: str, status: int | None) -> BatchActivationFailed:
        """The answer when it did not, and will not by itself."""
        return BatchActivationFailed(
            tenant=self.tenant,
            job_id=self.job_id,
            batch_id=self.batch_id,
            request_id=self.request_id,
            message=message,
            http_status=status,
        )


def requested_by(event: Event, tenure: Tenure, done: Callable[[], None]) -> list[Activation]:
    """The activations that an event of `hospital.jobs` asks for; `done` is called after the last of them."""
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

    return [Activation(event.tenant, event.job_id, batch, request_id, tenure, one_done) for batch in batches]


class Activations:
    """The batches that wait for their activation. `publish` returns when the event has been written."""

    def __init__(
        self,
        max_attempts: int,
        backoff: Backoff,
        publish: Callable[[Event], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._publish = publish
        self._changed = changed
        self._waiting: deque[Activation] = deque()

    @property
    def waiting(self) -> int:
        """How many may be sent now."""
        return len(self._waiting) if self._waiting and self._waiting[0].tenure.holds else 0

    def add(self, activation: Activation) -> None:
        """One more batch to activate."""
        if not activation.tenure.over:
            self._waiting.append(activation)
            self._changed()

    def renewed(self) -> None:
        """The tenure holds again."""
        if self._waiting:
            self._changed()

    def forget(self) -> None:
        """What was asked of an earlier tenure is asked again, of us or of another processor."""
        self._waiting = deque(activation for activation in self._waiting if not activation.tenure.over)

    def take(self) -> Activation | None:
        """The next one to send; its outcome has to be told by `answered`."""
        return self._waiting.popleft() if self.waiting else None

    def mildest(self) -> Activation | None:
        """Of those that may be sent now the one that failed least."""
        return min(self._waiting, key=lambda activation: activation.setbacks) if self.waiting else None

    def begin(self, activation: Activation) -> None:
        """This one is sent now; its outcome has to be told by `answered`."""
        self._waiting.remove(activation)

    async def answered(self, activation: Activation, outcome: ActivationOutcome) -> None:
        """Writes the answer, or puts the batch back for another try."""
        match outcome:
            case Activated(message):
                await self._settle(activation, activation.activated(message))
            case Rejected(status, message) | Conflicted(message, status):
                await self._settle(activation, activation.failed(message, status))
            case ServerError(message, status):
                activation.failures += 1
                if activation.failures >= self._max_attempts:
                    await self._settle(activation, activation.failed(message, status))
                else:
                    self._again(activation, message)
            case Refused(_, message) | NeverSent(message) | Unanswered(message):
                self._again(activation, message)
            case Withheld() | Throttled():
                self.add(activation)
            case _:
                assert_never(outcome)

    async def _settle(self, activation: Activation, answer: BatchActivated | BatchActivationFailed) -> None:
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

    def _again(self, activation: Activation, reason: str) -> None:
        activation.setbacks += 1
        wait = self._backoff.seconds(activation.setbacks)
        log.warning(
            "activation_postponed", batch_id=activation.batch_id, reason=reason, again_in_seconds=round(wait, 1)
        )
        asyncio.get_running_loop().call_later(wait, self.add, activation)
