"""How long one HTTP request may still wait for Kafka and the database before it has to be answered.

A caller is answered within 2 s, with a 503 where something is down. Each step may wait for what the steps before it
have left, so no step needs a time-out of its own.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from shared.runtime.timeouts import run_with_timeout

T = TypeVar("T")

#: Seconds that a request may wait. The rest of the 2 s is for computing and for sending the answer.
ANSWER_SECONDS: Final = 1.7


class AnswerBudget:
    """One request's budget, in seconds of the monotonic clock. It starts when it is made.

    `clock`: seconds, never going back.
    """

    def __init__(self, seconds: float = ANSWER_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._deadline - self._clock())

    async def run(self, work: Coroutine[Any, Any, T], at_most: float | None = None) -> T:
        """What the work returns. Raises TimeoutError at once when the budget, or `at_most` seconds, are used up."""
        seconds = self.remaining if at_most is None else min(at_most, self.remaining)
        return await run_with_timeout(seconds, work)
