"""What a lane's activations have to do with its commits: when they may be sent, and where their answers go."""

import asyncio
from collections.abc import Callable, Iterator

import structlog
from aiokafka import ConsumerRecord

from services.processor import metrics
from services.processor.activation.activations import Activation, Activations
from services.processor.activation.requests import ActivationRequest
from services.processor.activation.transitions import Again, Answer, Answered, Progress
from services.processor.lane.committer import Committer
from services.processor.lane.lane_rows import LaneRows
from services.processor.lane.ownership import Ownership
from services.processor.offsets.window import Window

log = structlog.get_logger(__name__)


class LaneActivations:
    """The activations of one ownership of a lane.

    They may be repeated, so the permit's lease is all that they need: no horizon, and no look-up after a takeover.
    """

    def __init__(
        self,
        window: Window,
        rows: LaneRows,
        ownership: Ownership,
        committer: Committer,
        notify: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._activations = Activations(window, self._write)
        #: Not empty while requests wait to be sent. It costs nothing to look.
        self.ready = self._activations.queue
        self._rows = rows
        self._ownership = ownership
        self._committer = committer
        self._notify = notify
        self._clock = clock

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self._activations.in_flight

    def admit(self, records: list[ConsumerRecord]) -> None:
        """Takes delivered records of `hospital.jobs` in."""
        self._activations.admit(records)

    def permitted(self) -> bool:
        """Whether a request may be sent now. Asked again right before the first byte of its call."""
        return self._committer.may_send(self._clock())

    def offers(self) -> Iterator[Activation]:
        """What may be sent now: the best request, and the best of those that ask for the other call."""
        return self._activations.offers() if self._committer.may_begin(self._clock()) else iter(())

    def call_begins(self, activation: Activation) -> None:
        """A call for one of the `offers` begins. It has to be ended with `call_ended`."""
        self._activations.call_begins(activation)
        self._committer.any_call_begins()

    def call_ended(self) -> None:
        """A call has ended, with whatever outcome."""
        self._activations.call_ended()
        self._committer.call_ended()

    def apply(self, activation: Activation, progress: Progress, following: Answered | Again) -> None:
        """What follows from a call. Does nothing when the lane has ended: its next owner reads the request again."""
        if self._ownership.end is not None:
            return
        match following:
            case Answered(event):
                self._activations.answer(activation, event)
                self._committer.wake()
            case Again(delay):
                self._activations.wait(activation, progress)
                if delay:
                    asyncio.get_running_loop().call_later(delay, self._ready_again, activation)
                else:
                    self._ready_again(activation)

    def _ready_again(self, activation: Activation) -> None:
        self._activations.ready(activation)
        self._notify()

    def _write(self, request: ActivationRequest, answer: Answer) -> None:
        kind = type(answer).__name__
        self._rows.write_job_event(answer)
        metrics.ACTIVATIONS.labels(kind).inc()
        log.info(
            "batch_activation", job_id=request.job_id, batch_id=request.batch_id, answer=kind, message=answer.message
        )
