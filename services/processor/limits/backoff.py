"""How long to wait before something is tried again."""

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random


class Backoff:
    """Exponential waits from `shortest` to `longest` seconds, with jitter of up to a quarter of the shortest.

    The longest wait has jitter too: rows that failed together must not come back together.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        jitter = shortest / 4
        self._longest = longest
        self._wait = wait_exponential(multiplier=shortest, max=max(longest - jitter, shortest)) + wait_random(0, jitter)
        self._retrying = Retrying()

    def seconds(self, failures: int) -> float:
        """The wait after that many failures (at least 1)."""
        state = RetryCallState(self._retrying, None, (), {})
        state.attempt_number = max(failures, 1)
        return min(self._wait(state), self._longest)
