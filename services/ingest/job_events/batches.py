"""Which batch of the directory each row goes to: a batch is small, and no two rows in it are alike."""

from collections.abc import Callable
from uuid import uuid4


def _new_id() -> str:
    return str(uuid4())


class Batches:
    """Hands out batch ids. The k-th of several rows that are alike goes to the k-th series of batches."""

    def __init__(self, size: int, new_id: Callable[[], str] = _new_id) -> None:
        self._size = size
        self._new_id = new_id
        self._open: dict[int, tuple[str, int]] = {}
        #: Every batch so far, in the order in which they were begun.
        self.ids: list[str] = []

    def batch_for(self, occurrence: int) -> str:
        """The batch of the next row. `occurrence` is how many rows above it are alike."""
        batch_id, filled = self._open.get(occurrence) or (self._begin(), 0)
        if filled == self._size:
            batch_id, filled = self._begin(), 0
        self._open[occurrence] = (batch_id, filled + 1)
        return batch_id

    def _begin(self) -> str:
        batch_id = self._new_id()
        self.ids.append(batch_id)
        return batch_id
