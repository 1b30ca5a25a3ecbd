"""Tries again what may succeed later, for a while, and says so each time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import tenacity

from client.errors import Busy, NeverSent, NoAnswer, TryAgain

T = TypeVar("T")
#: Told of a setback, and in how many seconds it will be tried again.
Told = Callable[[TryAgain, float], None]


def silence(_: TryAgain, __: float) -> None:
    """Tells nobody."""


@dataclass(slots=True)
class Patience:
    """Times in seconds."""

    #: How long to go on trying a service that has been there, or may have received something.
    seconds: float = 120.0
    #: How long to go on trying a service that has never been there: its address may be wrong.
    first_contact_seconds: float = 5.0
    longest_pause: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _met: bool = field(default=False, init=False)

    def harmless(self, call: Callable[[], T], told: Told = silence) -> T:
        """For what may be repeated whatever became of it. Raises the last setback when patience is at an end."""
        return self._persist(call, told, (TryAgain,))

    def careful(self, call: Callable[[], T], told: Told = silence) -> T:
        """For what may be repeated only when nothing has happened."""
        return self._persist(call, told, (NeverSent, Busy))

    def pause_after(self, setback: TryAgain, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        return max(setback.retry_after or 0.0, min(0.5 * 2.0**failures, self.longest_pause))

    def lasts(self, setback: TryAgain, since: float, pause: float) -> bool:
        """Whether to go on after the pause, in a row of failures that began at `since`."""
        self._met = self._met or isinstance(setback, (Busy, NoAnswer))
        allowed = self.seconds if self._met else min(self.seconds, self.first_contact_seconds)
        return self.clock() - since + pause <= allowed

    def met(self) -> None:
        """The service has answered."""
        self._met = True

    def _persist(self, call: Callable[[], T], told: Told, kinds: tuple[type[TryAgain], ...]) -> T:
        began, doubtful = self.clock(), False

        def attempt() -> T:
            nonlocal doubtful
            try:
                return call()
            except TryAgain as setback:
                doubtful = setback.doubtful = doubtful or not isinstance(setback, NeverSent)
                raise

        def pause(state: tenacity.RetryCallState) -> float:
            return self.pause_after(_setback(state), state.attempt_number - 1)

        def stop(state: tenacity.RetryCallState) -> bool:
            return not self.lasts(_setback(state), began, state.upcoming_sleep)

        answer = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(kinds),
            wait=pause,
            stop=stop,
            sleep=self.sleep,
            before_sleep=lambda state: told(_setback(state), state.upcoming_sleep),
            reraise=True,
        )(attempt)
        self.met()
        return answer


def _setback(state: tenacity.RetryCallState) -> TryAgain:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryAgain):
        raise TypeError("only setbacks are tried again")
    return error
