"""Makes the parts of a processor and keeps them running.

A consumer that fails is made anew. Any other error ends the process, so that whoever runs it notices.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from aiokafka import AIOKafkaConsumer

from services.processor import metrics
from services.processor.assignment.hand_overs import DRAIN_MARGIN_SECONDS
from services.processor.assignment.lane_consumer import LEAVING_CALLS, LaneConsumer
from services.processor.assignment.sharing import LaneSharing
from services.processor.directory.client import DirectoryClient
from services.processor.job_commands import JobCommands
from services.processor.lane.lane import Lane
from services.processor.lane.takeover import take_over, wait_for_release
from services.processor.lane.transactions import LaneTransactions
from services.processor.lane.transitions import AttemptRules
from services.processor.limits.backoff import Backoff
from services.processor.limits.circuit_breakers import CallKind, CircuitBreakers
from services.processor.limits.rate_limit import RateLimit
from services.processor.limits.report_reader import ReportReader
from services.processor.memory.budget import MemoryBudget
from services.processor.operations.liveness import Liveness, kafka_answers
from services.processor.operations.reports import Reports
from services.processor.publishing import SEND_SECONDS
from services.processor.sending.jobs_in_doubt import jobs_in_doubt
from services.processor.sending.lookups import LookupQueue
from services.processor.sending.sender import Sender, SenderParts
from services.processor.settings import ProcessorSettings
from services.processor.subscriptions import declare, stop_subscriber
from shared.contract.events import JobInDoubt, now
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.publisher import Publisher
from shared.runtime.kafka.topic_admin import wait_for_topics

log = structlog.get_logger(__name__)

CONSUMER_RETRY_SECONDS = 1.0
FORGET_SECONDS = 10.0

MakeTransactions = Callable[[ProcessorSettings, int, Callable[[], float]], LaneTransactions]


class Engine:
    """One processor. `run` runs it; cancelling `run` hands its lanes over and ends it.

    `clock` (monotonic) and `wall_clock` in seconds. `make_transactions` makes those of a lane for a takeover.
    """

    def __init__(
        self,
        settings: ProcessorSettings,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        make_transactions: MakeTransactions = LaneTransactions,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wall_clock = wall_clock
        self._make_transactions = make_transactions
        # What stands on the settings alone.
        backoff = Backoff(settings.retry_min_wait, settings.retry_max_wait)
        rules = AttemptRules(settings.retry_max_attempts, settings.settled_seconds, backoff.seconds)
        self._directory = DirectoryClient(settings)
        self._publisher = Publisher(settings, "processor")
        self._breakers = CircuitBreakers(
            settings.circuit_breaker_failure_threshold, settings.circuit_breaker_recovery_timeout, self._notify, clock
        )
        # What the lanes need, and the lanes.
        self._job_commands = JobCommands(self._cancel, self._notify, clock)
        self._lookups = LookupQueue(rules, self._notify, settings.hospital_api_settle_seconds, clock)
        self._memory = MemoryBudget(settings.window_bytes)
        metrics.show_memory(self._memory.limit, lambda: self._memory.held)
        self._sharing = LaneSharing()
        self.lane_consumer = LaneConsumer(
            settings, self._take_over, self._memory, clock, sharing=self._sharing, release=self._wait_for_release
        )
        # The slots of the rate limit are shared out among the processors by their reports.
        self._rate_limit = RateLimit(
            settings.rate_limit_requests,
            settings.rate_limit_period,
            settings.kafka_topic_partitions,
            uuid4().hex[:12],
            clock,
            wall_clock,
        )
        self.report_reader = ReportReader(self._rate_limit, clock, wall_clock)
        # What calls the directory for all of them.
        parts = SenderParts(self._directory, self._breakers, self._rate_limit, self._lookups, self._job_commands, rules)
        self._sender = Sender(settings, settings.topics, parts, self.lane_consumer.running_lanes, clock)
        # What can be seen of it.
        report = partial(self._publisher.send, settings.topics.processors, timeout=SEND_SECONDS)
        self._reports = Reports(
            settings,
            self.lane_consumer,
            self._breakers,
            self._rate_limit,
            self._job_commands,
            self._jobs_in_doubt,
            report,
            clock,
        )
        last_polls = {
            "rows": lambda: self.lane_consumer.last_poll,
            "notices": lambda: self._job_commands.last_poll,
            "reports": lambda: self.report_reader.last_poll,
        }
        self.liveness = Liveness(last_polls, lambda: kafka_answers(settings), clock)
        # Where everything comes from.
        self._subscriptions = declare(settings, self.lane_consumer, self._sharing)
        self.lane_consumer.attach(self._subscriptions.lanes)

    async def run(self) -> None:
        """Processes rows until cancelled, then hands its lanes over."""
        await wait_for_topics(self._settings)
        await self._breakers.start()
        async with self._directory, self._publisher, asyncio.TaskGroup() as parts:
            lanes, job_commands = self._subscriptions.lanes, self._subscriptions.notices
            parts.create_task(self._sender.run())
            parts.create_task(self._keep_consuming("notices", job_commands, self._job_commands.run))
            parts.create_task(self._reports.run(lambda: lanes.consumer))
            if self._settings.rate_limit_requests:
                parts.create_task(self._keep_consuming("reports", self._subscriptions.reports, self.report_reader.run))
            parts.create_task(self._keep_forgetting_batches())
            await self._keep_consuming("rows", lanes, self.lane_consumer.run, self.lane_consumer.close)

    async def _keep_consuming(
        self,
        name: str,
        subscriber: Any,
        consume: Callable[[AIOKafkaConsumer], Awaitable[None]],
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        while True:
            self.liveness.connecting(name)
            try:
                await self._subscriptions.broker.connect()
                await subscriber.start()
                await consume(subscriber.consumer)
            except KAFKA_FAILURES as error:
                log.warning(
                    "consumer_failed", consumer=name, reason=repr(error), again_in_seconds=CONSUMER_RETRY_SECONDS
                )
            finally:
                if close is not None:
                    await close()
                await stop_subscriber(subscriber)
            await asyncio.sleep(CONSUMER_RETRY_SECONDS)

    async def _keep_forgetting_batches(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            lanes = self.lane_consumer.running_lanes()
            self._lookups.forget_batches({row.event.batch_id for lane in lanes for row in lane.unfinished_rows()})

    async def _wait_for_release(self, partition: int) -> None:
        # As long as its owner may take: a call now and then, and then the calls in flight.
        seconds = (LEAVING_CALLS + 1) * self._settings.hospital_api_timeout + DRAIN_MARGIN_SECONDS
        released = await wait_for_release(self._settings, partition, seconds)
        log.info("lane_released" if released else "lane_not_released", partition=partition)

    async def _take_over(self, partition: int, consumer: AIOKafkaConsumer) -> Lane:
        transactions = self._make_transactions(self._settings, partition, self._clock)
        takeover = await take_over(self._settings, consumer, partition, transactions)
        metrics.TAKEOVERS.inc()
        wait = 0.0 if takeover.clean else self._settings.lease_seconds
        log.info("lane_taken_over", partition=partition, clean=takeover.clean, sends_in_seconds=wait)
        return Lane(
            self._settings,
            partition,
            consumer,
            takeover,
            self._job_commands,
            self._notify,
            self._lookups.add,
            self._memory.lane(),
            self._clock,
            self._wall_clock,
        )

    def _jobs_in_doubt(self) -> tuple[JobInDoubt, ...]:
        at, wall = self._clock(), now()
        look_ups_from = at + self._breakers.open_seconds(CallKind.LOOK_UP)
        counts = self._lookups.counts()
        return jobs_in_doubt(counts, look_ups_from, lambda moment: wall + timedelta(seconds=moment - at))

    def _notify(self) -> None:
        self._sender.notify()

    def _cancel(self, job_ids: set[str]) -> None:
        for lane in self.lane_consumer.running_lanes():
            # After a start these are all jobs that were ever cancelled, so the lanes' own jobs are looked through.
            for job_id in job_ids & {row.event.job_id for row in lane.unfinished_rows()}:
                lane.cancel(job_id)
