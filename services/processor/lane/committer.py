"""Commits what a lane has done, and with each commit permits what may be sent until the next.

It has the permit, the schedule and the transactions. `run` is its loop, `hand_over` its end for this owner.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from services.processor.lane.commit_schedule import CommitSchedule, SendAhead
from services.processor.lane.lane_rows import LaneRows
from services.processor.lane.ownership import LaneEnd, Ownership
from services.processor.lane.send_permit import SendPermit
from services.processor.lane.transactions import LaneFenced, LaneTransactions
from services.processor.offsets.lane_offsets import LaneOffsets
from services.processor.offsets.watermark import Watermark
from services.processor.settings import ProcessorSettings
from shared.runtime.kafka.fenced_transactions import CommitIndefinite

#: A timer may end this much too early.
TIMER_SECONDS: Final = 0.01


class Committer:
    """The commits of one ownership.

    `in_flight`: the number of calls under way. `on_change` is called when more may be sent, and at the end.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        ownership: Ownership,
        offsets: LaneOffsets,
        rows: LaneRows,
        transactions: LaneTransactions,
        in_flight: Callable[[], int],
        on_change: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.schedule = CommitSchedule(settings.commit_interval_ms / 1000, settings.lease_seconds)
        self._topics = settings.topics.rows
        self._ownership = ownership
        self._offsets = offsets
        self._rows = rows
        self._transactions = transactions
        self._in_flight = in_flight
        self._on_change = on_change
        self._clock = clock
        self._permit = SendPermit(settings.lease_seconds)
        self._send_ahead = SendAhead(
            settings.hospital_api_max_connections, settings.rate_per_second, self.schedule.longest_gap
        )
        self._committed: Mapping[str, int] = {}
        self._woken = asyncio.Event()
        self._calls_ended = asyncio.Event()
        self._committing = asyncio.Lock()

    # ---- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commits whenever there is something to commit, until the ownership ends. Lets go of the transactions then.

        Raises LaneFenced or CommitIndefinite when a commit has ended it.
        """
        try:
            while self._ownership.end is None:
                await self.wait_until_due()
                if self.is_due():
                    await self.commit()
        finally:
            self.end(LaneEnd.CLOSED)
            await self._transactions.close()

    def wake(self) -> None:
        """There may be something to commit."""
        self._woken.set()

    async def wait_until_due(self) -> None:
        """Returns when a commit may be due; with work at the latest when the permit has to be renewed."""
        working = self._offsets.has_work and self._ownership.commits
        try:
            async with asyncio.timeout(self.schedule.seconds_until_renewal(self._clock()) if working else None):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        await asyncio.sleep(self.schedule.seconds_until_next(self._clock()))

    def is_due(self) -> bool:
        """Whether there is something to commit."""
        if not self._ownership.commits:
            return False
        if self._rows.outgoing or self._offsets.to_commit != self._committed:
            return True
        if not self.schedule.seconds_until_renewal(self._clock()):
            return self._offsets.has_work
        return any(self._needs_permit(topic) for topic in self._topics)

    def _needs_permit(self, topic: str) -> bool:
        furthest = self._rows.furthest(topic, self._send_ahead.rows)
        return furthest is not None and furthest >= self._permit.horizon(topic)

    # ---- the permit --------------------------------------------------------------------------------------------------

    def may_send(self, now: float) -> bool:
        """Whether the lane may send anything at all. `now`: monotonic."""
        return self._ownership.may_send(now) and self._permit.holds(now)

    def may_begin(self, now: float) -> bool:
        """Whether a call may begin. `now`: monotonic."""
        return self._ownership.may_begin(now) and self._permit.holds(now)

    def permits(self, topic: str, offset: int) -> bool:
        """Whether the row at this offset may be sent now, if anything may."""
        return offset < self._permit.horizon(topic)

    def call_begins(self) -> None:
        """A row is sent: the next commit has to permit more."""
        self._send_ahead.sent()
        self.any_call_begins()

    def any_call_begins(self) -> None:
        """A row is sent, or an activation."""
        if wait := self._ownership.call_begins(self._clock()):
            asyncio.get_running_loop().call_later(wait + TIMER_SECONDS, self._on_change)

    # ---- commits -----------------------------------------------------------------------------------------------------

    async def commit(self, *, released: bool = False) -> None:
        """Commits results and watermarks. `released`: nothing is sent after it, until the next commit.

        A commit that does not return ends the lane, whatever it raises, and also when it is cancelled: the results that
        it has taken are in no other place, so the offsets must not pass them.
        """
        async with self._committing:
            if self._ownership.end is not None:
                return
            try:
                await self._commit(released=released)
            except LaneFenced:
                self.end(LaneEnd.FENCED)
                raise
            except BaseException:
                self.end(LaneEnd.INDEFINITE)
                raise
        self._woken.set()
        self._on_change()

    async def _commit(self, *, released: bool) -> None:
        outgoing = self._rows.take_outgoing()
        marks = self._watermarks(released=released)
        began = self._clock()
        self.schedule.commit_begins(began)
        if released:
            self._permit.withdraw()  # also when the lane stays here after all
        else:
            self._permit.commit_begins(began, marks)
        await self._transactions.commit(outgoing, marks)
        self.schedule.committed(self._clock())
        self._permit.committed()
        self._rows.committed()
        self._committed = {topic: mark.offset for topic, mark in marks.items()}

    def _watermarks(self, *, released: bool) -> dict[str, Watermark]:
        self._send_ahead.commit_begins()
        if released:
            self._rows.shrink_horizons()
        else:
            self._rows.extend_horizons(self._send_ahead.rows)
        return self._offsets.watermarks(released=released)

    # ---- the end -----------------------------------------------------------------------------------------------------

    async def hand_over(self, seconds: float = 0.0) -> bool:
        """Waits for a moment without calls in flight, and commits that nothing is under way. Returns whether it has.

        For so many seconds a call begins now and then meanwhile; after that nothing new is sent.
        """
        if seconds:
            self._ownership.leave(self._clock())
            self.any_call_begins()  # one may have begun a moment ago
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._calls_end(lambda: self._ownership.leaving)
        self.hold()
        await self._calls_end(lambda: self._ownership.end is None)
        # While a former owner's lease may still run, that owner may be sending.
        released = self._ownership.lease_is_over(self._clock())
        with contextlib.suppress(LaneFenced, CommitIndefinite):  # the commit has ended the lane
            await self.commit(released=released)
        return released and self._ownership.end is None

    async def _calls_end(self, applies: Callable[[], bool]) -> None:
        """Waits until no call is in flight, while that `applies`."""
        while self._in_flight() and applies():
            self._calls_ended.clear()
            await self._calls_ended.wait()

    def hold(self) -> None:
        """From now on nothing new is sent."""
        self._ownership.hold()
        self._calls_ended.set()

    def call_ended(self) -> None:
        """A call has ended: a hand-over waits for the last of them."""
        if not self._in_flight():
            self._calls_ended.set()

    def end(self, why: LaneEnd) -> None:
        """Ends the ownership; the first reason stays. Nothing is sent from now on."""
        self._ownership.finish(why)
        self._permit.withdraw()
        self._woken.set()
        self._calls_ended.set()
        self._on_change()
