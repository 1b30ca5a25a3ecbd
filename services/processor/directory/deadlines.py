"""Deadlines for calls that all have the same time-out. They share one timer: one for each was much of a call's cost.

All last equally long, so the one that began first is due first, and only that one has to be timed.
"""

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Deadlines of `seconds` each. What runs longer ends with TimeoutError, as with `asyncio.timeout`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: The running ones, in the order in which they began.
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> "Deadline":
        """A deadline for the current task, counted from now. Use it at once: `with deadlines.begin(): ...`."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(self, loop.time() + self.seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.at, self._expire_due)
        return deadline

    def remove(self, deadline: "Deadline") -> None:
        """The deadline is not needed any more."""
        self._running.pop(deadline, None)

    def _expire_due(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for deadline in list(self._running):
            if deadline.at > now:
                self._timer = loop.call_at(deadline.at, self._expire_due)
                return
            deadline.expire()
            self.remove(deadline)


class Deadline:
    """One deadline: a context manager around what has to end in time."""

    __slots__ = ("_cancelling_before", "_deadlines", "_expired", "_task", "at")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline ends a task, and there is none")
        self.at = at
        self._deadlines = deadlines
        self._task = task
        self._cancelling_before = task.cancelling()
        self._expired = False

    def __enter__(self) -> Self:
        return self

    def expire(self) -> None:
        """Cancels the task; the context manager turns that into TimeoutError."""
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._deadlines.remove(self)
        # If somebody else has cancelled the task too, it stays cancelled: that is no time-out.
        if self._expired and self._task.uncancel() <= self._cancelling_before and kind is asyncio.CancelledError:
            raise TimeoutError from error
