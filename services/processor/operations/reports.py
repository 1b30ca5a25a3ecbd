"""Reports this processor every 5 s: as ProcessorReported on its topic, and as gauges of its lanes.

A report comes sooner when the circuit breaker opens or closes, sending is paused or resumed, or a lane begins or ends
to be taken over; at most twice a second. It also comes sooner when what it says of the slots of the rate limit cannot
wait: its lanes and jobs are those of the last one then.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.processor import metrics
from services.processor.assignment.lane_consumer import LaneConsumer
from services.processor.job_commands import JobCommands
from services.processor.limits.circuit_breakers import CircuitBreakers
from services.processor.limits.rate_limit import RateLimit
from services.processor.settings import ProcessorSettings
from shared.contract.events import BreakerState, Event, JobInDoubt, LaneReport, ProcessorReported, now
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.publisher import KafkaUnavailable

log = structlog.get_logger(__name__)

REPORT_SECONDS = 5.0
#: How often it looks whether anything has changed that cannot wait for the next report.
LOOK_SECONDS = 0.5
#: How long the end of a processor waits for its last report to be written.
LAST_REPORT_SECONDS = 1.0
#: The time over which the rate is measured.
RATE_SECONDS = 60.0


class Reports:
    """The reports of one processor, written with `publish`. `jobs_in_doubt`: of all its lanes.

    `clock`: seconds of the monotonic clock.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        lane_consumer: LaneConsumer,
        breakers: CircuitBreakers,
        rate_limit: RateLimit,
        job_commands: JobCommands,
        jobs_in_doubt: Callable[[], tuple[JobInDoubt, ...]],
        publish: Callable[[Event], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._lane_consumer = lane_consumer
        self._breakers = breakers
        self._rate_limit = rate_limit
        self._job_commands = job_commands
        self._jobs_in_doubt = jobs_in_doubt
        self._publish = publish
        self._clock = clock
        #: How many results there were at the time of each report of the last minute (monotonic).
        self._finished: deque[tuple[float, float]] = deque([(clock(), metrics.total(metrics.RESULTS))])
        self._commits = (0.0, 0.0)
        self._shown: set[int] = set()
        #: The lanes, and the jobs with rows in doubt, as they were last seen.
        self._seen: tuple[LaneReport, ...] = ()
        self._seen_in_doubt: tuple[JobInDoubt, ...] = ()

    async def run(self, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        """Reports until cancelled. A report that cannot be written is dropped."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._keep_reporting_slots())
                await self._keep_reporting(consumer)
        finally:
            if self._rate_limit.leave():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LAST_REPORT_SECONDS):
                        await self._write_report()

    async def _keep_reporting(self, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        while True:
            told = self._cannot_wait()
            try:
                self._seen = await self._lanes(consumer())
            except KAFKA_FAILURES as error:
                log.info("lanes_not_seen", reason=repr(error))
            self._seen_in_doubt = self._jobs_in_doubt()
            await self._write_report()
            await self._until_next(told)

    async def _until_next(self, told: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_SECONDS):
                await asyncio.sleep(LOOK_SECONDS)
                while self._cannot_wait() == told:  # noqa: ASYNC110 - a breaker changes by itself when its time is over
                    await asyncio.sleep(LOOK_SECONDS)

    def _cannot_wait(self) -> tuple[BreakerState, bool, frozenset[int]]:
        """What is told at once when it changes: whoever watches a job wants to know why it stands still."""
        return self._breakers.state, self._job_commands.paused, self._lane_consumer.being_taken_over()

    async def _keep_reporting_slots(self) -> None:
        while True:
            await self._rate_limit.until_urgent()
            await self._write_report()

    async def _write_report(self) -> None:
        try:
            await self._publish(self._report(self._seen))
        except (KafkaUnavailable, *KAFKA_FAILURES) as error:
            log.info("report_not_written", reason=repr(error))

    async def _lanes(self, consumer: AIOKafkaConsumer | None) -> tuple[LaneReport, ...]:
        lanes = self._lane_consumer.running_lanes()
        topics = self._settings.topics.rows
        ends: dict[TopicPartition, int] = {}
        if consumer is not None and lanes:
            wanted = [TopicPartition(topic, lane.partition) for lane in lanes for topic in topics]
            async with asyncio.timeout(REPORT_SECONDS):
                ends = await consumer.end_offsets(wanted)
        reports = tuple(
            lane.report({topic: ends.get(TopicPartition(topic, lane.partition), 0) for topic in topics})
            for lane in lanes
            if not lane.ended  # it may have ended while the ends were asked for
        )
        self._show(reports)
        others = self._lane_consumer.being_taken_over() - {report.partition for report in reports}
        return *reports, *(LaneReport(partition=partition, taking_over=True) for partition in sorted(others))

    def _report(self, lanes: tuple[LaneReport, ...]) -> ProcessorReported:
        silence = self._rate_limit.retry_after_seconds
        next_try = self._breakers.seconds_until_try
        return ProcessorReported(
            instance=self._settings.instance_id,
            breaker=self._breakers.state,
            paused=self._job_commands.paused,
            retry_after_until=now() + timedelta(seconds=silence) if silence else None,
            rate_limit=self._settings.rate_per_second,
            rows_per_second=self._rows_per_second(),
            lanes=lanes,
            commit_seconds=self._commit_seconds(),
            look_ups=int(metrics.total(metrics.CALLS, call="look_up")),
            slots_used=int(metrics.total(metrics.SLOTS, use="used")),
            slots_wasted=int(metrics.total(metrics.SLOTS, use="wasted")),
            retry_after_waits=int(metrics.total(metrics.RETRY_AFTER_WAITS)),
            takeovers=int(metrics.total(metrics.TAKEOVERS)),
            fenced=int(metrics.total(metrics.FENCED)),
            next_try_at=None if next_try is None else now() + timedelta(seconds=next_try),
            connections=self._settings.hospital_api_max_connections,
            jobs_in_doubt=self._seen_in_doubt,
            rate_slots=self._rate_limit.slots_report(),
        )

    def _rows_per_second(self) -> float:
        """Results in the last minute, per second. There may be more reports in it than one every 5 s."""
        now = self._clock()
        self._finished.append((now, metrics.total(metrics.RESULTS)))
        while self._finished[1][0] <= now - RATE_SECONDS:
            self._finished.popleft()
        (first_at, first), (_, last) = self._finished[0], self._finished[-1]
        return round((last - first) / max(now - first_at, REPORT_SECONDS), 3)

    def _commit_seconds(self) -> float:
        """The mean duration of the transactions since the last report."""
        seconds, count = self._commits
        self._commits = metrics.total(metrics.COMMIT_SECONDS, "_sum"), metrics.total(metrics.COMMIT_SECONDS, "_count")
        return round((self._commits[0] - seconds) / max(self._commits[1] - count, 1), 4)

    def _show(self, reports: tuple[LaneReport, ...]) -> None:
        here = {report.partition for report in reports}
        for gone in self._shown - here:
            metrics.forget_lane(gone)
        self._shown = here
        for report in reports:
            partition = str(report.partition)
            metrics.LANE_ROWS.labels(partition, "in_flight").set(report.in_flight)
            metrics.LANE_ROWS.labels(partition, "waiting").set(report.waiting)
            metrics.LANE_ROWS.labels(partition, "window").set(report.window_used)
            metrics.LANE_LAG_ROWS.labels(partition).set(report.lag_rows)
            metrics.LANE_LAG_SECONDS.labels(partition).set(report.lag_seconds)
