"""The unfinished rows of a lane by job and number. A row may be here in several rounds, of which one runs at a time."""

from collections.abc import Iterator
from enum import Enum, auto

from services.processor.lane.row import Row


class Turn(Enum):
    """When it is the turn of a round that arrives."""

    NOW = auto()
    AFTER = auto()  # of an earlier round, which is not over
    TOO_LATE = auto()  # a later round is here already
    TWICE = auto()  # this very round, or one between those that are here


class Rounds:
    """Each unfinished row in its running round; later rounds wait behind it as its successors."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], Row] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._running.values())

    def turn_of(self, row: Row) -> Turn:
        """When the row, which has just arrived, may run."""
        running = self._running.get(row.identity)
        if running is None:
            return Turn.NOW
        if row.event.round < running.event.round:
            return Turn.TOO_LATE
        return Turn.TWICE if row.event.round <= running.latest.event.round else Turn.AFTER

    def begin(self, row: Row) -> None:
        """The row's turn has come."""
        self._running[row.identity] = row

    def wait(self, row: Row) -> Row:
        """The row waits behind all rounds that are here. Returns the one that runs."""
        running = self._running[row.identity]
        running.latest.successor = row
        return running

    def end(self, row: Row) -> None:
        """The row has its result."""
        if self._running.get(row.identity) is row:
            del self._running[row.identity]

    def of_job(self, job_id: str) -> list[Row]:
        """The running rounds of a job's rows."""
        return [row for row in self if row.event.job_id == job_id]
