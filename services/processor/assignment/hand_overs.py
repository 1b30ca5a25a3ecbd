"""The lanes that we give away: each ends with its last commit, within a bounded time."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Final

from services.processor.lane.lane import Lane

#: A hand-over waits this much longer than a call can last.
DRAIN_MARGIN_SECONDS: Final = 5.0


class HandOvers:
    """The hand-overs of one processor.

    `call_seconds`: how long a call can last. `fail` is told what broke; `not_released` that a lane is free for whoever
    waits for it, although its last commit did not say so.
    """

    def __init__(
        self, call_seconds: float, fail: Callable[[Exception], None], not_released: Callable[[], None]
    ) -> None:
        self._call_seconds = call_seconds
        self._fail = fail
        self._not_released = not_released
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        #: Lanes that may have another owner already, for whom nobody waits therefore.
        self.given_up: set[Lane] = set()

    @property
    def lanes(self) -> Collection[Lane]:
        """The lanes that are being handed over."""
        return self._tasks.keys()

    def begin(self, lane: Lane, seconds: float) -> None:
        """Hands a lane over that another processor is to have. For so many seconds a call begins now and then."""
        self._tasks[lane] = asyncio.create_task(self._let_go(lane, seconds))

    def give_up(self) -> None:
        """The lanes that are being handed over may have another owner already."""
        self.given_up.update(self._tasks)

    def hold(self) -> None:
        """From now on none of them begins a call."""
        for lane in self._tasks:
            lane.hold()

    async def end_of(self, index: int) -> None:
        """Returns when no lane of this index is being handed over."""
        if tasks := [task for lane, task in self._tasks.items() if lane.partition == index]:
            await asyncio.wait(tasks)

    async def end_of_all(self) -> None:
        """Returns when all of them have ended."""
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    async def _let_go(self, lane: Lane, seconds: float) -> None:
        waited_for = lane not in self.given_up
        released = False
        try:
            released = await self.hand_over(lane, seconds)
        except Exception as error:
            self._fail(RuntimeError(f"lane {lane.partition} broke: {error!r}"))
            raise
        finally:
            lane.close()
            del self._tasks[lane]
            self.given_up.discard(lane)
        if waited_for and not released:
            self._not_released()

    async def hand_over(self, lane: Lane, seconds: float = 0.0) -> bool:
        """Hands a lane over, after so many seconds without beginning any more calls; within a bounded time.

        Returns whether its last commit says `released`.
        """
        with contextlib.suppress(TimeoutError):  # if it was committing, that has ended the lane
            async with asyncio.timeout(seconds + self._call_seconds + DRAIN_MARGIN_SECONDS):
                return await lane.hand_over(seconds)
        return False
