"""How far a lane is in its topics: the windows, the rows whose fate is not certain, and the horizons."""

from typing import Protocol

from services.processor.offsets.watermark import Watermark
from services.processor.offsets.window import Place, Window


class HasPlace(Protocol):
    """Something with a place in a topic's window: a row."""

    @property
    def topic(self) -> str: ...
    @property
    def place(self) -> Place: ...


class LaneOffsets:
    """The windows of one lane by topic. They begin at the watermarks that its last owner committed."""

    def __init__(self, watermarks: dict[str, Watermark]) -> None:
        self._windows = {topic: Window(mark) for topic, mark in watermarks.items()}
        #: Rows that may be in the directory without a result: in flight, in doubt, or waiting behind such a round.
        self._uncertain: set[HasPlace] = set()

    def window(self, topic: str) -> Window:
        """The window of one topic."""
        return self._windows[topic]

    def held(self, topic: str) -> int:
        """How many delivered records of a topic are held, done or not."""
        return len(self._windows[topic])

    @property
    def has_work(self) -> bool:
        """Whether any delivered record is not done."""
        return any(window.unfinished for window in self._windows.values())

    @property
    def to_commit(self) -> dict[str, int]:
        """The offsets to commit, by topic."""
        return {topic: window.offset for topic, window in self._windows.items()}

    @property
    def positions(self) -> dict[str, int]:
        """The offsets from which to read on, by topic."""
        return {topic: window.position for topic, window in self._windows.items()}

    def is_in_doubt(self, row: HasPlace) -> bool:
        """Whether the last owner may have sent the row without committing a result for it."""
        return self._windows[row.topic].is_in_doubt(row.place)

    def mark_uncertain(self, row: HasPlace) -> None:
        """The row may be in the directory from now on: it stays below every horizon."""
        self._uncertain.add(row)

    def mark_certain(self, row: HasPlace) -> None:
        """The row is certainly not in the directory."""
        self._uncertain.discard(row)

    def finish(self, row: HasPlace) -> None:
        """The row has its result."""
        self._uncertain.discard(row)
        self._windows[row.topic].finish(row.place)

    def forget_rows(self) -> None:
        """The lane has ended: nothing more is committed."""
        self._uncertain.clear()

    def shrink_horizon(self, topic: str) -> None:
        """Moves the horizon of a topic as low as it may be when nothing more is sent."""
        self._windows[topic].shrink_horizon(row.place for row in self._uncertain if row.topic == topic)

    def extend_horizon(self, topic: str, last: Place | None) -> None:
        """Moves the horizon over the last record that may be sent before the next commit.

        A topic without unfinished records has its horizon at its offset.
        """
        if not self._windows[topic].unfinished:
            self.shrink_horizon(topic)
        elif last is not None:
            self._windows[topic].extend_horizon(last)

    def watermarks(self, *, released: bool) -> dict[str, Watermark]:
        """What to commit, by topic."""
        return {topic: window.watermark(released=released) for topic, window in self._windows.items()}
