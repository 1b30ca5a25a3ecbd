"""How fast a job goes, from what was seen of it. Pure."""

from typing import Final

_WINDOW_SECONDS: Final = 15.0


class Pace:
    """Measured over the last 15 s."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def saw(self, processed: int, at: float) -> float | None:
        """Hospitals a second now; None while nothing can be said. `at`: seconds on a clock that never goes back."""
        # A retry begins a new round: what was processed before it is not its pace.
        self._seen = [
            (then, count) for then, count in self._seen if at - then <= _WINDOW_SECONDS and count <= processed
        ]
        self._seen.append((at, processed))
        since, count = self._seen[0]
        passed = at - since
        return (processed - count) / passed if passed >= 1 and processed > count else None
