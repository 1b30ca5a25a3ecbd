"""How many hospitals of a job are finished in a second, measured from its counts. Pure."""

from typing import Final

_WINDOW_SECONDS: Final = 15.0


class Throughput:
    """The rate over the last 15 s."""

    def __init__(self) -> None:
        self._counts: list[tuple[float, int]] = []

    def record(self, processed: int, at: float) -> float | None:
        """Adds a count and returns hospitals per second; None in the first second and while nothing has changed.

        `at`: seconds on a clock that never goes back.
        """
        # A retry begins a new round with a lower count: counts from before it are left out.
        self._counts = [
            (then, count) for then, count in self._counts if at - then <= _WINDOW_SECONDS and count <= processed
        ]
        self._counts.append((at, processed))
        since, count = self._counts[0]
        passed = at - since
        return (processed - count) / passed if passed >= 1 and processed > count else None
