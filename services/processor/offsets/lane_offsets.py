"""How far a lane is in both topics: its windows, what in them is not settled, and the horizons that follow from it."""

from typing import Protocol

from services.processor.offsets.watermark import Watermark
from services.processor.offsets.window import Place, Window


class Placed(Protocol):
    """What has a place in a topic's window: a row."""

    @property
    def topic(self) -> str: ...
    @property
    def place(self) -> Place: ...


class Progress:
    """The windows of one lane by topic, begun from the watermarks that its last owner committed."""

    def __init__(self, watermarks: dict[str, Watermark]) -> None:
        self._windows = {topic: Window(mark) for topic, mark in watermarks.items()}
        #: In flight or in doubt, or behind a row that is: what may have been sent.
        self._unsettled: set[Placed] = set()

    def window(self, topic: str) -> Window:
        """The window of one topic."""
        return self._windows[topic]

    @property
    def used(self) -> int:
        """How many delivered records are held, done or not."""
        return sum(len(window) for window in self._windows.values())

    @property
    def has_work(self) -> bool:
        """Whether any delivered record is not done."""
        return any(window.unfinished for window in self._windows.values())

    @property
    def offsets(self) -> dict[str, int]:
        """The offsets to commit, by topic."""
        return {topic: window.offset for topic, window in self._windows.items()}

    @property
    def positions(self) -> dict[str, int]:
        """Where to read on, by topic."""
        return {topic: window.position for topic, window in self._windows.items()}

    def is_in_doubt(self, row: Placed) -> bool:
        """Whether the last owner may have sent the row without our knowing what came of it."""
        return self._windows[row.topic].is_in_doubt(row.place)

    def unsettle(self, row: Placed) -> None:
        """The row may be sent from now on: no horizon falls below it."""
        self._unsettled.add(row)

    def settle(self, row: Placed) -> None:
        """The row is certainly not in the directory, or has its result."""
        self._unsettled.discard(row)

    def finish(self, row: Placed) -> None:
        """The row has its result."""
        self._unsettled.discard(row)
        self._windows[row.topic].finish(row.place)

    def draw_in(self, topic: str) -> None:
        """The horizon of a topic goes as low as it may: nothing more is sent."""
        self._windows[topic].settle_horizon(row.place for row in self._unsettled if row.topic == topic)

    def reach_to(self, topic: str, last: Place | None) -> None:
        """The horizon of a topic covers a record that may be sent before the next commit; of an idle one, nothing."""
        if not self._windows[topic].unfinished:
            self.draw_in(topic)
        elif last is not None:
            self._windows[topic].extend_horizon(last)

    def watermarks(self, *, released: bool) -> dict[str, Watermark]:
        """What to commit, by topic."""
        return {topic: window.watermark(released=released) for topic, window in self._windows.items()}
