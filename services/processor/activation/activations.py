"""The activations of one lane: from the record that asks for them to their answers. No clock, no Kafka, no directory.

Each waits for itself: one that fails keeps no other waiting. A record of `hospital.jobs` is done when all that it asks
for has been answered; other records are done at once.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
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

    def offers(self) -> Iterator[Activation]:
        """What may be sent next: the first of those that failed least, and the first that asks for the other call.

        One is to be activated and one to be looked up: the directory may take calls of one kind only.
        """
        if self.queue:
            first = self.queue[0][2]
            yield first
            look_up = not first.progress.look_up_first
            others = (entry for entry in self.queue if entry[2].progress.look_up_first is look_up)
            if (other := min(others, default=None)) is not None:
                yield other[2]

    def call_begins(self, activation: Activation) -> None:
        """A call for one of the `offers` begins. It has to be ended with `call_ended`."""
        self.in_flight += 1
        if self.queue[0][2] is activation:
            heapq.heappop(self.queue)
        else:
            self.queue.remove(next(entry for entry in self.queue if entry[2] is activation))
            heapq.heapify(self.queue)

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
