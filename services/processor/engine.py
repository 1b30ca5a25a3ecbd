"""Brings the parts together and keeps them going.

Consumers that break are made anew; any other error ends the process, so that whoever runs it sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.processor.activation.activation_consumer import ActivationIntake
from services.processor.activation.activations import Activations
from services.processor.directory.client import Directory
from services.processor.job_commands import Notices
from services.processor.lane.lane import Lane
from services.processor.lane.lane_consumer import Intake
from services.processor.limits.backoff import Backoff
from services.processor.limits.circuit_breaker import Breaker
from services.processor.limits.rate_limit import Pace
from services.processor.operations.liveness import Liveness, kafka_answers
from services.processor.operations.reports import Reporting
from services.processor.publishing import SEND_SECONDS, send_in_any_case
from services.processor.sending.lookups import InDoubt
from services.processor.sending.sender import Sendable, Sender
from services.processor.settings import ProcessorSettings
from services.processor.subscriptions import declare
from shared.runtime.publisher import Publisher
from shared.runtime.topic_admin import wait_for_topics

log = structlog.get_logger(__name__)

CONSUMER_RETRY_SECONDS = 1.0
FORGET_SECONDS = 10.0


class Engine:
    """One processor: made of its parts here, run by `run`, ended cleanly by cancelling that."""

    def __init__(self, settings: ProcessorSettings) -> None:
        self._settings = settings
        self._directory = Directory(settings)
        self._breaker = Breaker(settings.circuit_breaker_failure_threshold, settings.circuit_breaker_recovery_timeout)
        self._publisher = Publisher(settings, "processor")
        backoff = Backoff(settings.retry_min_wait, settings.retry_max_wait)
        self.intake = Intake(settings, self._make_lane)
        self._pace = Pace(
            settings.rate_limit_requests, settings.rate_limit_period, settings.kafka_topic_partitions, self._owned
        )
        self._notices = Notices(self._cancel, self._changed)
        self._in_doubt = InDoubt(
            settings.retry_max_attempts, backoff, self._changed, settings.hospital_api_settle_seconds
        )
        answer = partial(send_in_any_case, self._publisher, settings.topics.jobs)
        activations = Activations(settings.retry_max_attempts, backoff, answer, self._changed)
        self._activation_intake = ActivationIntake(settings, activations)
        parts = Sendable(
            self._directory, self._breaker, self._pace, self._in_doubt, activations, self._notices, backoff
        )
        self._sender = Sender(settings, settings.topics, parts, self.intake.running_lanes)
        report = partial(self._publisher.send, settings.topics.processors, timeout=SEND_SECONDS)
        self._reporting = Reporting(settings, self.intake, self._breaker, self._pace, self._notices, report)
        self.liveness = Liveness(
            {
                "rows": lambda: self.intake.last_poll,
                "activations": lambda: self._activation_intake.last_poll,
                "notices": lambda: self._notices.last_poll,
            },
            lambda: kafka_answers(settings),
        )
        self._subscriptions = declare(settings, self.intake, self._activation_intake)
        self.intake.attach(self._subscriptions.rows)
        self._activation_intake.attach(self._subscriptions.activations)

    async def run(self) -> None:
        """Processes rows until cancelled, then hands its lanes over."""
        await wait_for_topics(self._settings)
        await self._breaker.start()
        async with self._directory, self._publisher, asyncio.TaskGroup() as parts:
            rows, activations, notices = (
                self._subscriptions.rows,
                self._subscriptions.activations,
                self._subscriptions.notices,
            )
            parts.create_task(self._sender.run())
            parts.create_task(self._keep_consuming("notices", notices, self._notices.run))
            parts.create_task(self._keep_consuming("activations", activations, self._activation_intake.run))
            parts.create_task(self._reporting.run(lambda: rows.consumer))
            parts.create_task(self._keep_forgetting())
            await self._keep_consuming("rows", rows, self.intake.run, self.intake.close)

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
            except (KafkaError, OSError) as error:
                log.warning(
                    "consumer_broke", consumer=name, reason=repr(error), again_in_seconds=CONSUMER_RETRY_SECONDS
                )
            finally:
                if close is not None:
                    await close()
                await subscriber.stop()
            await asyncio.sleep(CONSUMER_RETRY_SECONDS)

    async def _keep_forgetting(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            lanes = self.intake.running_lanes()
            self._in_doubt.forget_batches({row.event.batch_id for lane in lanes for row in lane.unfinished_rows()})

    def _make_lane(self, partition: int, consumer: AIOKafkaConsumer) -> Lane:
        return Lane(self._settings, partition, consumer, self._notices, self._changed, self._in_doubt.add)

    def _owned(self) -> list[int]:
        return [lane.partition for lane in self.intake.running_lanes() if lane.owns_slots]

    def _changed(self) -> None:
        self._sender.changed()

    def _cancel(self, job_ids: set[str]) -> None:
        for lane in self.intake.running_lanes():
            # At the start these are all jobs that were ever cancelled: the rows are not looked through for each.
            for job_id in job_ids & {row.event.job_id for row in lane.unfinished_rows()}:
                lane.cancel(job_id)
