"""The deadlines of calls, which all last equally long: one timer for all, since one for each was much of a call's cost.

What began first is due first, so only the oldest has to be timed.
"""

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Total deadlines of `seconds` each; as with `asyncio.timeout`, what runs longer ends with TimeoutError."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: What is under way, in the order of its beginning.
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> "Deadline":
        """Use it at once, in the task that it shall end: `with deadlines.begin(): ...`."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(self, loop.time() + self.seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.at, self._end_those_due)
        return deadline

    def over(self, deadline: "Deadline") -> None:
        """What it was for has ended."""
        self._running.pop(deadline, None)

    def _end_those_due(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for deadline in list(self._running):
            if deadline.at > now:
                self._timer = loop.call_at(deadline.at, self._end_those_due)
                return
            deadline.expire()
            self.over(deadline)


class Deadline:
    """One of them: a context manager around what has to end in time."""

    __slots__ = ("_before", "_deadlines", "_expired", "_task", "at")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline ends a task, and there is none")
        self.at = at
        self._deadlines = deadlines
        self._task = task
        self._before = task.cancelling()
        self._expired = False

    def __enter__(self) -> Self:
        return self

    def expire(self) -> None:
        """It is due."""
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._deadlines.over(self)
        # Whoever cancels the task meanwhile means it, and not us.
        if self._expired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error
