"""What is called next: a look-up, an activation, an express row or a bulk row, in this order.

Two turns in five differ. One prefers bulk rows, so that they never starve. One prefers look-ups and activations that
have failed before: in all other turns these go last, so that they keep nothing else waiting.

A kind of call whose circuit breaker is open is not chosen. When it is half-open the next call of that kind is a probe:
what has failed least often in a row. What fails by itself must not keep the breaker open for everything else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

from services.processor.activation.activations import Activation
from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.row import Row
from services.processor.limits.circuit_breakers import CallKind, CallOfKind, CircuitBreakers
from services.processor.sending.lookups import LookupQueue
from shared.contract.topics import Topics

#: At most one connection in so many repeats look-ups and activations that have failed: they may take their full time.
CONNECTIONS_PER_REPEAT = 4


class BatchLookUp(NamedTuple):
    """A batch is to be looked up. `failures`: how often in a row that has failed."""

    batch_id: str
    failures: int = 0

    @property
    def kind(self) -> CallKind:
        """What is asked of the directory."""
        return CallKind.LOOK_UP


class ActivationCall(NamedTuple):
    """A batch is to be activated, as an event of a lane asks; after a doubtful answer it is looked up first."""

    lane: Lane
    activation: Activation

    @property
    def batch_id(self) -> str:
        """The batch."""
        return self.activation.request.batch_id

    @property
    def failures(self) -> int:
        """How often in a row it did not succeed."""
        return self.activation.progress.backoff_count

    @property
    def kind(self) -> CallKind:
        """What is asked of the directory."""
        return CallKind.LOOK_UP if self.activation.progress.look_up_first else CallKind.ACTIVATE


class RowCall(NamedTuple):
    """A row of a lane is to be created."""

    lane: Lane
    row: Row

    @property
    def batch_id(self) -> str:
        """The batch that it belongs to."""
        return self.row.event.batch_id

    @property
    def failures(self) -> int:
        """How often in a row it was not created."""
        return self.row.attempts.backoff_count

    @property
    def kind(self) -> CallKind:
        """What is asked of the directory."""
        return CallKind.CREATE


Choice = BatchLookUp | ActivationCall | RowCall


@dataclass(frozen=True, slots=True)
class ChosenCall:
    """A call that begins now. `counted`: how the circuit breakers count it. It has to end with `Choices.ended`."""

    choice: Choice
    counted: CallOfKind
    #: A look-up or an activation that has failed before.
    repeats: bool


Group = Callable[[], Choice | None]


class Choices:
    """Everything that may be called now, over all lanes of a processor. `connections`: how many calls go at once."""

    def __init__(
        self,
        topics: Topics,
        lookups: LookupQueue,
        breakers: CircuitBreakers,
        job_commands: JobCommands,
        lanes: Callable[[], Iterable[Lane]],
        connections: int,
    ) -> None:
        self._topics = topics.rows
        self._lookups = lookups
        self._breakers = breakers
        self._job_commands = job_commands
        self._lanes = lanes
        self._max_repeats = max(connections // CONNECTIONS_PER_REPEAT, 1)
        self._repeats = 0
        self._count = 0
        # What is offered together, each by a function. In a turn the first group that offers anything is served.
        first: tuple[Group, ...] = (self._fresh_look_up, self._fresh_activation)
        express: Group = partial(self._row, topics.rows_express)
        bulk: Group = partial(self._row, topics.rows_bulk)
        self._usual = (*first, express, bulk, self._repeat)
        self._turns = (
            (*first, bulk, express, self._repeat),
            self._usual,
            (*first, self._repeat, express, bulk),
            self._usual,
            self._usual,
        )

    def is_any(self) -> bool:
        """Whether anything may be called now."""
        return self._best(self._usual) is not None

    def take(self) -> ChosenCall | None:
        """The next call, which begins now. None when there is nothing to call any more."""
        self._count += 1
        choice = self._best(self._turns[self._count % len(self._turns)])
        if choice is None:
            return None
        kind = choice.kind
        match choice:
            case RowCall(lane, row):
                lane.call_begins(row)
            case BatchLookUp(batch_id):
                self._lookups.begin(batch_id)
            case ActivationCall(lane, activation):
                lane.activations.call_begins(activation)
        repeats = kind is not CallKind.CREATE and choice.failures > 0
        counted = self._breakers.begin(kind, choice.batch_id if kind is CallKind.LOOK_UP else None)
        self._repeats += repeats
        return ChosenCall(choice, counted, repeats)

    def ended(self, call: ChosenCall) -> None:
        """A call that was taken has ended, or was not made."""
        call.counted.release()
        self._repeats -= call.repeats

    def _best(self, turn: Iterable[Group]) -> Choice | None:
        """What the first group of the turn offers that offers anything."""
        if self._job_commands.may_send:
            for group in turn:
                if (choice := group()) is not None:
                    return choice
        return None

    def _fresh_look_up(self) -> BatchLookUp | None:
        look_up = self._look_up()
        return look_up if look_up is not None and not look_up.failures else None

    def _fresh_activation(self) -> ActivationCall | None:
        return next((call for call in self._activating() if not call.failures), None)

    def _repeat(self) -> BatchLookUp | ActivationCall | None:
        """The look-up or activation that failed least of those that failed."""
        if self._repeats >= self._max_repeats:
            return None
        calls: list[BatchLookUp | ActivationCall] = [call for call in self._activating() if call.failures]
        if (look_up := self._look_up()) is not None and look_up.failures:
            calls.append(look_up)
        return min(calls, key=lambda call: call.failures, default=None)

    def _look_up(self) -> BatchLookUp | None:
        """The batch to look up next, if there is one."""
        least = self._lookups.least_failed()
        if least is None or not self._breakers.may_call(CallKind.LOOK_UP):
            return None
        failures, batch_id = least
        return BatchLookUp(batch_id, failures)

    def _activating(self) -> Iterator[ActivationCall]:
        """The next activation of every lane that has one."""
        for lane in self._lanes():
            if lane.activations.ready:
                calls = (ActivationCall(lane, each) for each in lane.activations.offers())
                yield from islice((call for call in calls if self._breakers.may_call(call.kind)), 1)

    def _row(self, topic: str) -> RowCall | None:
        """The next row of a topic, beginning with another lane in each turn; as a probe the least failed of any."""
        if not self._breakers.may_call(CallKind.CREATE):
            return None
        lanes = list(self._lanes())
        start = self._count % len(lanes) if lanes else 0
        lanes = lanes[start:] + lanes[:start]
        if self._breakers.is_half_open(CallKind.CREATE):
            topics = sorted(self._topics, key=lambda each: each != topic)
            probes = (RowCall(lane, row) for each in topics for lane in lanes if (row := lane.next_probe(each)))
            return min(probes, key=lambda call: call.failures, default=None)
        for lane in lanes:
            if (row := lane.next_row(topic)) is not None:
                return RowCall(lane, row)
        return None
