"""The rows of a lane that are ready to be sent: fresh ones in the order of the topic, then those that are retried."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter

from services.processor.lane.row import Row, State
from services.processor.offsets.window import Place


class RowQueue:
    """Ready rows by topic. Rows that are no longer READY (cancelled, or in doubt) are skipped."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._fresh: dict[str, deque[Row]] = {topic: deque() for topic in topics}
        self._retries: dict[str, deque[Row]] = {topic: deque() for topic in self._fresh}

    def append(self, row: Row) -> None:
        """Adds a row that has never been sent."""
        self._fresh[row.topic].append(row)

    def append_retry(self, row: Row, *, front: bool = False) -> None:
        """Adds a row that is tried again. `front`: before the other retries, because nothing went wrong with it."""
        queue = self._retries[row.topic]
        (queue.appendleft if front else queue.append)(row)

    def heads(self, topic: str) -> Iterator[Row]:
        """The first fresh row and the first retry, as far as there are any."""
        for queue in (self._fresh[topic], self._retries[topic]):
            _drop_rows_not_ready(queue)
            if queue:
                yield queue[0]

    def take(self, row: Row) -> None:
        """Removes a row that is one of the `heads`."""
        for queue in (self._fresh[row.topic], self._retries[row.topic]):
            if queue and queue[0] is row:
                queue.popleft()
                return

    def any(self, topic: str) -> bool:
        """False when the queue is empty. True may mean that it only holds rows that `heads` would skip."""
        return bool(self._fresh[topic] or self._retries[topic])

    def last_within(self, topic: str, rows: int) -> Place | None:
        """The highest place among the first so many fresh rows and the first so many retries."""
        fresh = self._fresh[topic]
        _drop_rows_not_ready(fresh)
        places = [row.place for row in islice(self._retries[topic], rows)]
        if fresh:
            places.append(fresh[min(rows, len(fresh)) - 1].place)
        return max(places, key=attrgetter("offset"), default=None)


def _drop_rows_not_ready(queue: deque[Row]) -> None:
    while queue and queue[0].state is not State.READY:
        queue.popleft()
