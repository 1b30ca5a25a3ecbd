"""The rows of a lane that wait for their turn: fresh ones in the order of the topic, then those that come again."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter

from services.processor.lane.row import Row, State
from services.processor.offsets.window import Place


class WaitingRows:
    """Rows by topic. Those that are elsewhere by now, cancelled or in doubt, are passed over."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._fresh: dict[str, deque[Row]] = {topic: deque() for topic in topics}
        self._again: dict[str, deque[Row]] = {topic: deque() for topic in self._fresh}

    def append(self, row: Row) -> None:
        """A row that has just come."""
        row.state = State.READY
        self._fresh[row.topic].append(row)

    def append_again(self, row: Row, *, front: bool = False) -> None:
        """A row that was not sent, or to no avail. `front`: nobody was at fault."""
        row.state = State.READY
        queue = self._again[row.topic]
        (queue.appendleft if front else queue.append)(row)

    def first(self, topic: str) -> Iterator[Row]:
        """The first fresh row and the first that comes again, as far as there are any."""
        for queue in (self._fresh[topic], self._again[topic]):
            _drop_others(queue)
            if queue:
                yield queue[0]

    def take(self, row: Row) -> None:
        """It is the turn of a row that was first."""
        for queue in (self._fresh[row.topic], self._again[row.topic]):
            if queue and queue[0] is row:
                queue.popleft()
                return

    def any(self, topic: str) -> bool:
        """False when nothing waits; True may mean that only rows which are elsewhere by now do."""
        return bool(self._fresh[topic] or self._again[topic])

    def last_within(self, topic: str, reach: int) -> Place | None:
        """The furthest place among the rows whose turn comes within so many."""
        fresh = self._fresh[topic]
        _drop_others(fresh)
        places = [row.place for row in islice(self._again[topic], reach)]
        if fresh:
            places.append(fresh[min(reach, len(fresh)) - 1].place)
        return max(places, key=attrgetter("offset"), default=None)


def _drop_others(queue: deque[Row]) -> None:
    while queue and queue[0].state is not State.READY:
        queue.popleft()
