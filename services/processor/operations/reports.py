"""Reports this processor every 5 s: as ProcessorReported on its topic, and as gauges of its lanes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.processor import metrics
from services.processor.job_commands import JobCommands
from services.processor.lane.lane_consumer import LaneConsumer
from services.processor.limits.circuit_breakers import CircuitBreakers
from services.processor.limits.rate_limit import RateLimit
from services.processor.settings import ProcessorSettings
from shared.contract.events import Event, LaneReport, ProcessorReported, now
from shared.runtime.kafka.kafka_options import KAFKA_FAILURES
from shared.runtime.kafka.publisher import KafkaUnavailable

log = structlog.get_logger(__name__)

REPORT_SECONDS = 5.0
#: The number of reports over which the rate is measured: a minute.
RATE_REPORTS = 12


class Reports:
    """The reports of one processor, written with `publish`."""

    def __init__(
        self,
        settings: ProcessorSettings,
        lane_consumer: LaneConsumer,
        breakers: CircuitBreakers,
        rate_limit: RateLimit,
        job_commands: JobCommands,
        publish: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._lane_consumer = lane_consumer
        self._breakers = breakers
        self._rate_limit = rate_limit
        self._job_commands = job_commands
        self._publish = publish
        self._finished: deque[float] = deque([metrics.total(metrics.RESULTS)], maxlen=RATE_REPORTS + 1)
        self._commits = (0.0, 0.0)
        self._shown: set[int] = set()

    async def run(self, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        """Reports until cancelled. A report that cannot be written is dropped."""
        while True:
            try:
                await self._publish(self._report(await self._lanes(consumer())))
            except (KafkaUnavailable, *KAFKA_FAILURES) as error:
                log.info("report_not_written", reason=repr(error))
            await asyncio.sleep(REPORT_SECONDS)

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
        )
        self._show(reports)
        return reports

    def _report(self, lanes: tuple[LaneReport, ...]) -> ProcessorReported:
        self._finished.append(metrics.total(metrics.RESULTS))
        seconds = max(len(self._finished) - 1, 1) * REPORT_SECONDS
        silence = self._rate_limit.retry_after_seconds
        return ProcessorReported(
            instance=self._settings.instance_id,
            breaker=self._breakers.state,
            paused=self._job_commands.paused,
            retry_after_until=now() + timedelta(seconds=silence) if silence else None,
            rate_limit=self._settings.rate_per_second,
            rows_per_second=round((self._finished[-1] - self._finished[0]) / seconds, 3),
            lanes=lanes,
            commit_seconds=self._commit_seconds(),
            look_ups=int(metrics.total(metrics.CALLS, call="look_up")),
            slots_used=int(metrics.total(metrics.SLOTS, use="used")),
            slots_wasted=int(metrics.total(metrics.SLOTS, use="wasted")),
            retry_after_waits=int(metrics.total(metrics.RETRY_AFTER_WAITS)),
            takeovers=int(metrics.total(metrics.TAKEOVERS)),
            fenced=int(metrics.total(metrics.FENCED)),
        )

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
