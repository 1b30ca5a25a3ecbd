"""Which partitions of a topic are fetched when more waits in them than is wanted at once: so many, each in its turn.

Without turns all of them would be fetched together: a megabyte each, and express rows would get no room in an answer.
A turn is over when the partition has delivered as much as one fetch brings; then it goes behind all others. One that
delivers nothing for a while keeps its turn, and others have theirs beside it: its broker may be away, or only slow.
"""

from collections.abc import Iterable
from dataclasses import dataclass

#: A partition that has delivered nothing for so long keeps no other from having its turn.
SILENT_SECONDS = 0.5


@dataclass(slots=True)
class _Turn:
    """What a partition has delivered in its turn, and when it last did (monotonic)."""

    delivered_at: float
    delivered: int = 0


class FetchTurns:
    """The turns of one topic's partitions. `turn_bytes`: what one fetch brings at most."""

    def __init__(self, turn_bytes: int) -> None:
        self._turn_bytes = turn_bytes
        self._turns: dict[int, _Turn] = {}
        #: When each partition last had a turn, as the number of turns that had been given by then.
        self._last: dict[int, int] = {}
        self._given = 0

    def choose(self, waiting: Iterable[int], at_once: int, now: float) -> set[int]:
        """Those of the waiting partitions whose turn it is now (monotonic): so many, beside those that are silent."""
        waiting = set(waiting)
        if len(waiting) <= at_once:
            self._turns.clear()
            return waiting
        self._turns = {
            partition: turn
            for partition, turn in self._turns.items()
            if partition in waiting and turn.delivered < self._turn_bytes
        }
        active = sum(now - turn.delivered_at < SILENT_SECONDS for turn in self._turns.values())
        others = sorted(waiting - self._turns.keys(), key=lambda partition: self._last.get(partition, -1))
        for partition in others[: max(at_once - active, 0)]:
            self._turns[partition] = _Turn(now)
            self._given += 1
            self._last[partition] = self._given
        return set(self._turns)

    def delivered(self, partition: int, size: int, now: float) -> None:
        """The partition has delivered records of so many bytes."""
        if (turn := self._turns.get(partition)) is not None:
            turn.delivered += size
            turn.delivered_at = now
