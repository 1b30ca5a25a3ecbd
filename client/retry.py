"""Repeats calls that may succeed later, for a limited time, and reports each pause."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import tenacity

from client.errors import Busy, NeverSent, NoAnswer, TryAgain

T = TypeVar("T")
#: Called before each pause with the error and the pause in seconds.
OnRetry = Callable[[TryAgain, float], None]


def ignore_retry(_: TryAgain, __: float) -> None:
    """Reports nothing."""


@dataclass(slots=True)
class RetryPolicy:
    """How long calls are repeated, and with which pauses. All times in seconds."""

    #: For a service that has answered before, or that may have received a request.
    seconds: float = 120.0
    #: For a service that was never reached: its address may be wrong.
    first_contact_seconds: float = 5.0
    longest_pause: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _service_seen: bool = field(default=False, init=False)

    def call_idempotent(self, call: Callable[[], T], on_retry: OnRetry = ignore_retry) -> T:
        """For calls that have the same effect when repeated: every TryAgain is tried again, the last one raised."""
        return self._retry(call, on_retry, (TryAgain,))

    def call_once(self, call: Callable[[], T], on_retry: OnRetry = ignore_retry) -> T:
        """For other calls: tried again only when the call had no effect. Raises NoAnswer at once."""
        return self._retry(call, on_retry, (NeverSent, Busy))

    def pause_seconds(self, error: TryAgain, failures: int) -> float:
        """The pause after so many failures in a row: it doubles, and is never shorter than Retry-After."""
        return max(error.retry_after or 0.0, min(0.5 * 2.0**failures, self.longest_pause))

    def may_retry(self, error: TryAgain, since: float, pause: float) -> bool:
        """Whether time is left for another try after the pause. `since`: the clock at the first failure in a row."""
        self._service_seen = self._service_seen or isinstance(error, (Busy, NoAnswer))
        allowed = self.seconds if self._service_seen else min(self.seconds, self.first_contact_seconds)
        return self.clock() - since + pause <= allowed

    def _retry(self, call: Callable[[], T], on_retry: OnRetry, kinds: tuple[type[TryAgain], ...]) -> T:
        began, may_have_happened = self.clock(), False

        def attempt() -> T:
            nonlocal may_have_happened
            try:
                return call()
            except TryAgain as error:
                may_have_happened = error.may_have_happened = may_have_happened or not isinstance(error, NeverSent)
                raise

        def pause(state: tenacity.RetryCallState) -> float:
            return self.pause_seconds(_error_of(state), state.attempt_number - 1)

        def stop(state: tenacity.RetryCallState) -> bool:
            return not self.may_retry(_error_of(state), began, state.upcoming_sleep)

        answer = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(kinds),
            wait=pause,
            stop=stop,
            sleep=self.sleep,
            before_sleep=lambda state: on_retry(_error_of(state), state.upcoming_sleep),
            reraise=True,
        )(attempt)
        self._service_seen = True
        return answer


def _error_of(state: tenacity.RetryCallState) -> TryAgain:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryAgain):
        raise TypeError("only TryAgain is tried again")
    return error
