"""The activations of one lane: from the record that asks for them to their answers. No clock, no Kafka, no directory.

Each waits for itself: one that fails keeps no other waiting. A record of `hospital.jobs` is done when all that it asks
for has been answered; other records are done at once.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from aiokafka import ConsumerRecord

from services.processor.activation.requests import ActivationRequest, read_requests
from services.processor.activation.transitions import Answer, Progress
from services.processor.offsets.window import Place, Window


@dataclass(slots=True, eq=False)
class _Asking:
    """A record, and how many of its requests have not been answered."""

    place: Place
    unanswered: int


@dataclass(slots=True, eq=False)
class Activation:
    """A request of a lane. Only the lane's `Activations` changes it."""

    request: ActivationRequest
    asking: _Asking
    progress: Progress = field(default_factory=Progress)


class Activations:
    """The requests in a lane's window of `hospital.jobs`. `write` takes each answer, for the next commit."""

    def __init__(self, window: Window, write: Callable[[ActivationRequest, Answer], None]) -> None:
        self.in_flight = 0
        self._window = window
        self._write = write
        #: What may be sent, by how often it failed in a row, then by when it came: a heap. To be read only.
        self.queue: list[tuple[int, int, Activation]] = []
        self._numbers = count()

    def admit(self, records: Iterable[ConsumerRecord]) -> None:
        """Takes delivered records in, except those that were delivered before or are done."""
        for record in records:
            if record.offset < self._window.position or (place := self._window.admit(record.offset)) is None:
                continue
            requests = read_requests(record)
            asking = _Asking(place, len(requests))
            for request in requests:
                self.ready(Activation(request, asking))
            if not requests:
                self._window.finish(place)

    def ready(self, activation: Activation) -> None:
        """It may be sent, or sent again."""
        heapq.heappush(self.queue, (activation.progress.backoff_count, next(self._numbers), activation))

    def first(self) -> Activation | None:
        """The request to send next, None when there is none: the first of those that failed least often in a row."""
        return self.queue[0][2] if self.queue else None

    def call_begins(self) -> Activation:
        """A call for the `first` begins. It has to be ended with `call_ended`."""
        self.in_flight += 1
        return heapq.heappop(self.queue)[2]

    def call_ended(self) -> None:
        """A call has ended, with whatever outcome."""
        self.in_flight -= 1

    def wait(self, activation: Activation, progress: Progress) -> None:
        """It has not succeeded: `ready` follows when it may be sent again."""
        activation.progress = progress

    def answer(self, activation: Activation, answer: Answer) -> None:
        """It is done."""
        self._write(activation.request, answer)
        activation.asking.unanswered -= 1
        if not activation.asking.unanswered:
            self._window.finish(activation.asking.place)
