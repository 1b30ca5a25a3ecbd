"""What is called next: a look-up, an activation, an express row or a bulk row, in this order.

Every fifth choice of a row prefers bulk rows, so that they never starve. A probe of the circuit breaker is chosen by
how often something has failed: what fails by itself must not keep the breaker open for everything else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from services.processor.activation.activations import Activation
from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.row import Row
from services.processor.sending.lookups import LookupQueue
from shared.contract.topics import Topics

#: One choice of a row in so many prefers bulk rows to express rows.
BULK_TURN = 5


@dataclass(frozen=True, slots=True)
class BatchLookUp:
    """A batch is to be looked up."""

    batch_id: str


class ActivationCall(NamedTuple):
    """A batch is to be activated, as an event of a lane asks."""

    lane: Lane
    activation: Activation


class RowCall(NamedTuple):
    """A row of a lane is to be created."""

    lane: Lane
    row: Row


Choice = BatchLookUp | ActivationCall | RowCall


class Choices:
    """Everything that may be called now, over all lanes of a processor."""

    def __init__(
        self,
        topics: Topics,
        lookups: LookupQueue,
        job_commands: JobCommands,
        lanes: Callable[[], Iterable[Lane]],
    ) -> None:
        self._express, self._bulk = topics.rows
        self._lookups = lookups
        self._job_commands = job_commands
        self._lanes = lanes
        self._count = 0

    def is_any(self, now: float) -> bool:
        """Whether anything may be called now. `now`: monotonic."""
        if not self._job_commands.may_send:
            return False
        due = self._lookups.next_due()
        if due is not None and due <= now:
            return True
        return any(
            (lane.activations.ready and lane.activations.first())
            or lane.next_row(self._express)
            or lane.next_row(self._bulk)
            for lane in self._lanes()
        )

    def take(self) -> Choice | None:
        """The next call, which begins now. None when there is nothing to call any more."""
        if not self._job_commands.may_send:
            return None
        if (batch_id := self._lookups.take()) is not None:
            return BatchLookUp(batch_id)
        lanes = list(self._lanes())
        if (activating := min(self._activating(lanes), key=_failures, default=None)) is not None:
            activating.lane.activations.call_begins()
            return activating
        if (call := next(self._rows(lanes), None)) is not None:
            call.lane.call_begins(call.row)
        return call

    def take_probe(self) -> Choice | None:
        """The call that has failed least often in a row. It begins now. None when there is nothing to call."""
        if not self._job_commands.may_send:
            return None
        offers: list[tuple[int, Choice]] = []
        if (batch := self._lookups.least_failed()) is not None:
            failures, batch_id = batch
            offers.append((failures, BatchLookUp(batch_id)))
        lanes = list(self._lanes())
        offers += [(_failures(call), call) for call in self._activating(lanes)]
        offers += [(call.row.attempts.backoff_count, call) for call in self._rows(lanes)]
        choice = min(offers, key=lambda offer: offer[0], default=(0, None))[1]
        match choice:
            case BatchLookUp(batch_id):
                self._lookups.begin(batch_id)
            case ActivationCall(lane):
                lane.activations.call_begins()
            case RowCall(lane, row):
                lane.call_begins(row)
        return choice

    def _activating(self, lanes: list[Lane]) -> Iterator[ActivationCall]:
        """The next activation of every lane that has any."""
        for lane in lanes:
            if lane.activations.ready and (first := lane.activations.first()) is not None:
                yield ActivationCall(lane, first)

    def _rows(self, lanes: list[Lane]) -> Iterator[RowCall]:
        """The next row of every lane and topic. Each choice begins with another lane."""
        self._count += 1
        topics = (self._express, self._bulk) if self._count % BULK_TURN else (self._bulk, self._express)
        start = self._count % len(lanes) if lanes else 0
        in_turn = lanes[start:] + lanes[:start]
        return (RowCall(lane, row) for topic in topics for lane in in_turn if (row := lane.next_row(topic)))


def _failures(call: ActivationCall) -> int:
    return call.activation.progress.backoff_count
