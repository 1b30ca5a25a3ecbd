"""The unfinished rows of a lane by job and row number.

A row may be here in several rounds. Only one of them runs at a time.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto

from services.processor.lane.row import Row


class RoundOrder(Enum):
    """When a round that has just been delivered may run."""

    NOW = auto()
    AFTER = auto()  # behind an earlier round that is not finished
    TOO_LATE = auto()  # a later round is here already
    DUPLICATE = auto()  # this round, or one between those that are here, has been delivered before


class Rounds:
    """Each unfinished row in its running round, and the later rounds that wait behind it."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], Row] = {}
        self._waiting: dict[tuple[str, int], deque[Row]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._running.values())

    def clear(self) -> None:
        """Forgets all of them."""
        self._running.clear()
        self._waiting.clear()

    def order_of(self, row: Row) -> RoundOrder:
        """When the row, which has just been delivered, may run."""
        running = self._running.get(row.identity)
        if running is None:
            return RoundOrder.NOW
        if row.event.round < running.event.round:
            return RoundOrder.TOO_LATE
        latest = self._waiting.get(row.identity, (running,))[-1]
        return RoundOrder.DUPLICATE if row.event.round <= latest.event.round else RoundOrder.AFTER

    def running(self, row: Row) -> Row:
        """The round of the row that runs. Raises KeyError when none does."""
        return self._running[row.identity]

    def begin(self, row: Row) -> None:
        """The row is the running round from now on."""
        self._running[row.identity] = row

    def wait(self, row: Row) -> Row:
        """Puts the row behind all rounds that are here. Returns the running one."""
        self._waiting.setdefault(row.identity, deque()).append(row)
        return self._running[row.identity]

    def is_superseded(self, row: Row) -> bool:
        """Whether a later round waits behind the running one."""
        return row.identity in self._waiting

    def end(self, row: Row) -> Row | None:
        """The row has its result. Returns the round that comes next; it has to begin.

        Does nothing when another round of the row is running.
        """
        identity = row.identity
        if self._running.get(identity) is not row:
            return None
        del self._running[identity]
        waiting = self._waiting.get(identity)
        if not waiting:
            return None
        following = waiting.popleft()
        if not waiting:
            del self._waiting[identity]
        return following

    def of_job(self, job_id: str) -> list[Row]:
        """The running rounds of a job's rows."""
        return [row for row in self if row.event.job_id == job_id]
