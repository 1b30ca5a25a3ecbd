"""Processors that grant each other the slots of a rate limit over a topic, in simulated time."""

import asyncio
import heapq
from contextlib import asynccontextmanager
from itertools import count

from services.processor.limits.rate_limit import RateLimit
from shared.contract.events import BreakerState, LaneReport, ProcessorReported

START = 1.8e9
STEP_SECONDS = 0.01


class SlotWorld:
    """The topic and the time. `calls`: when who made a call, in seconds from the beginning."""

    def __init__(self, rate, period, partitions=6):
        self.rate, self.period, self.partitions = rate, period, partitions
        self.now = 0.0
        self.topic = []
        self.calls = []
        self.processors = []
        self._sleepers, self._order = [], count()

    @asynccontextmanager
    async def running(self, *processors):
        """These processors, which may be frozen and killed; more may be started."""
        for processor in processors:
            processor.start()
        try:
            yield self
        finally:
            for processor in self.processors:
                processor.kill()

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + max(seconds, 1e-6), next(self._order), woken))
        await woken

    async def pass_time(self, seconds):
        """Lets the processors read, report, write and call."""
        ends = self.now + seconds
        while self.now < ends:
            await asyncio.sleep(0)
            step = min(self.now + STEP_SECONDS, ends)
            while self._sleepers and self._sleepers[0][0] <= step:
                self.now, _, woken = heapq.heappop(self._sleepers)
                if not woken.done():
                    woken.set_result(None)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            self.now = step
            for processor in self.processors:
                processor.exchange_reports()

    def most_in_a_period(self):
        """The most calls in any window of a period."""
        times, most, first = sorted(at for at, _ in self.calls), 0, 0
        for last, at in enumerate(times):
            while at - times[first] >= self.period:
                first += 1
            most = max(most, last - first + 1)
        return most

    def made_by(self, processor, since=0.0):
        """How many calls a processor has made."""
        return sum(name == processor.name and at >= since for at, name in self.calls)


class SlotProcessor:
    """One process, which calls whenever it may while `wants`. `ahead`: by how much its wall clock is ahead, in seconds.

    `reads_late` and `writes_late`: how long a report takes, in seconds.
    """

    def __init__(self, world, name, *, ahead=0.0, wants=True, lanes=(), reads_late=0.0, writes_late=0.0, rate=None):
        self.world, self.name, self.ahead, self.wants, self.lanes = world, name, ahead, wants, lanes
        self.reads_late, self.writes_late = reads_late, writes_late
        self.frozen = False
        self.waits = []
        self._task = None
        self._read, self._unwritten, self._reported_at = 0, [], -100.0
        self.limit = RateLimit(
            rate or world.rate,
            world.period,
            world.partitions,
            name,
            lambda: world.now,
            lambda: START + world.now + self.ahead,
            self._sleep,
        )

    def start(self):
        self.world.processors.append(self)
        self._task = asyncio.create_task(self._call())

    def kill(self):
        self._task.cancel()
        self.frozen = True

    async def _sleep(self, seconds):
        await self.world.sleep(seconds)
        while self.frozen:
            await self.world.sleep(STEP_SECONDS)

    async def _call(self):
        while True:
            if not self.wants:
                await self._sleep(STEP_SECONDS)
                continue
            asked = self.world.now
            await self.limit.acquire()
            self.world.calls.append((self.world.now, self.name))
            self.waits.append(self.world.now - asked)
            if self.wants == "once":
                self.wants = False

    def exchange_reports(self):
        if self.frozen:
            return
        now, topic = self.world.now, self.world.topic
        while self._read < len(topic) and topic[self._read][0] + self.reads_late <= now:
            self.limit.apply(topic[self._read][1])
            self._read += 1
        if now - self._reported_at >= 5 or self.limit.is_urgent:
            self._reported_at = now
            self._unwritten.append((now + self.writes_late, self.report()))
        while self._unwritten and self._unwritten[0][0] <= now:
            topic.append((now, self._unwritten.pop(0)[1]))

    def report(self):
        return ProcessorReported(
            instance=self.name,
            breaker=BreakerState.CLOSED,
            lanes=tuple(LaneReport(partition=lane) for lane in self.lanes),
            rate_slots=self.limit.slots_report(),
        )
