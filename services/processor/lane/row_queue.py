"""The rows of a lane that are ready to be sent: fresh ones in the order of the topic, then those that are retried."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

from services.processor.lane.row import Row, State
from services.processor.offsets.window import Place

GOLDEN_RATIO: Final = (5**0.5 - 1) / 2


class RowQueue:
    """Ready rows by topic. Rows that are no longer READY (cancelled, or in doubt) are skipped."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._fresh = {topic: _FreshRows() for topic in topics}
        self._retries: dict[str, deque[Row]] = {topic: deque() for topic in self._fresh}
        self._left_behind = 0

    def append(self, row: Row) -> None:
        """Adds a row that has never been sent."""
        self._fresh[row.topic].after.append(row)

    def append_retry(self, row: Row, *, front: bool = False) -> None:
        """Adds a row that is tried again. `front`: before the other retries, because nothing went wrong with it."""
        queue = self._retries[row.topic]
        (queue.appendleft if front else queue.append)(row)

    def finished_here(self) -> None:
        """A ready row has got its result without being taken. Its memory is free when no queue holds it any more."""
        self._left_behind += 1
        queues = self._queues()
        if self._left_behind * 8 >= sum(len(queue) for queue in queues):
            self._left_behind = 0
            for queue in queues:
                ready = [row for row in queue if row.state is not State.DONE]
                queue.clear()
                queue.extend(ready)

    def clear(self) -> None:
        """Forgets all of them."""
        for queue in self._queues():
            queue.clear()

    def _queues(self) -> list[deque[Row]]:
        fresh = self._fresh.values()
        return [*(rows.before for rows in fresh), *(rows.after for rows in fresh), *self._retries.values()]

    def heads(self, topic: str) -> Iterator[Row]:
        """The next fresh row and the first retry, as far as there are any."""
        if (fresh := self._fresh[topic].head()) is not None:
            yield fresh
        retries = self._retries[topic]
        _drop_rows_not_ready(retries)
        if retries:
            yield retries[0]

    def probes(self, topic: str) -> list[Row]:
        """The next fresh row; without one all retries, first those that failed least often in a row."""
        if (fresh := self._fresh[topic].head()) is not None:
            return [fresh]
        ready = (row for row in self._retries[topic] if row.state is State.READY)
        return sorted(ready, key=lambda row: row.attempts.backoff_count)

    def skip_ahead(self, topic: str) -> None:
        """The next fresh rows are others than the neighbours of those that came last."""
        self._fresh[topic].skip_ahead()

    def take(self, row: Row) -> None:
        """Removes a row that is one of the `heads` or of the `probes`."""
        if not self._fresh[row.topic].take(row):
            self._retries[row.topic].remove(row)

    def any(self, topic: str) -> bool:
        """False when the queue is empty. True may mean that it only holds rows that `heads` would skip."""
        fresh = self._fresh[topic]
        return bool(fresh.after or fresh.before or self._retries[topic])

    def last_within(self, topic: str, rows: int) -> Place | None:
        """The highest place among the first so many fresh rows and the first so many retries."""
        places = [row.place for row in islice(self._retries[topic], rows)]
        if (last := self._fresh[topic].last_within(rows)) is not None:
            places.append(last.place)
        return max(places, key=attrgetter("offset"), default=None)


class _FreshRows:
    """Fresh rows in the order of the topic: those before the point at which they are taken, and those after it.

    At first the point is the beginning. After a skip it is anywhere, and rows are taken from both sides in turn: where
    the directory takes one row, it takes its neighbours.
    """

    def __init__(self) -> None:
        self.before: deque[Row] = deque()
        self.after: deque[Row] = deque()
        self._backwards = False
        self._skips = 0

    def head(self) -> Row | None:
        """The row to send next, None when there is none."""
        _drop_rows_not_ready(self.after)
        before = self.before
        while before and before[-1].state is not State.READY:
            before.pop()
        if before and (self._backwards or not self.after):
            return before[-1]
        return self.after[0] if self.after else None

    def take(self, row: Row) -> bool:
        """Removes the row if it is the `head`. Returns whether it was."""
        if self.after and self.after[0] is row:
            self.after.popleft()
        elif self.before and self.before[-1] is row:
            self.before.pop()
        else:
            return False
        self._backwards = not self._backwards
        return True

    def skip_ahead(self) -> None:
        """Moves the point on by the golden ratio of all rows: repeated skips soon find any part that is not small."""
        before, after = self.before, self.after
        rows = len(before) + len(after)
        self._skips += 1
        point = int(rows * (self._skips * GOLDEN_RATIO % 1))
        while len(before) < point:
            before.append(after.popleft())
        while len(before) > point:
            after.appendleft(before.pop())

    def last_within(self, rows: int) -> Row | None:
        """The last in the order of the topic of the next so many rows."""
        if (head := self.head()) is None or not self.after:
            return head
        return self.after[min(rows, len(self.after)) - 1]


def _drop_rows_not_ready(queue: deque[Row]) -> None:
    while queue and queue[0].state is not State.READY:
        queue.popleft()
