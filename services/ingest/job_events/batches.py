"""Which batch of the directory each row goes to. A batch is small and holds no hospital twice."""

from collections import Counter
from collections.abc import Callable, Iterable
from math import ceil
from uuid import uuid4


def _new_id() -> str:
    return str(uuid4())


def count_batches(rows: int, occurrences: Iterable[int], size: int) -> int:
    """How many batches `Batches` makes of so many rows. `occurrences`: of those that repeat a hospital."""
    series = Counter(occurrences)
    series[0] = rows - series.total()
    return sum(ceil(length / size) for length in series.values())


class Batches:
    """Assigns rows to batches. The k-th row with the same hospital goes to the k-th series of batches."""

    def __init__(self, size: int, new_id: Callable[[], str] = _new_id) -> None:
        self._size = size
        self._new_id = new_id
        self._open: dict[int, tuple[str, int]] = {}
        #: The id of every batch so far, in the order of their first rows.
        self.ids: list[str] = []

    def batch_for(self, occurrence: int) -> str:
        """The id of the next row's batch. `occurrence`: how many rows above it have the same hospital."""
        batch_id, filled = self._open.get(occurrence) or (self._begin(), 0)
        if filled == self._size:
            batch_id, filled = self._begin(), 0
        self._open[occurrence] = (batch_id, filled + 1)
        return batch_id

    def _begin(self) -> str:
        batch_id = self._new_id()
        self.ids.append(batch_id)
        return batch_id
