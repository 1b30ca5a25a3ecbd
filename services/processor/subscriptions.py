"""What the processor reads and writes, declared with FastStream: consumers and AsyncAPI document come from here.

    hospital.rows.*   group hospital-processor   offsets in each lane's transactions, with its results; read_committed
    hospital.jobs     the same                   its requests for activation, with their answers in the transactions
    hospital.jobs     no group                   every processor reads all of it, from the start (`notices`)
    hospital.processors  no group                its recent end, with a rate limit: who may use its slots (`reports`)

The subscribers have no handler: FastStream's own loop cannot run more calls at once than there are partitions without
losing rows, so the engine drives the raw consumers. The publishers are declared for the document; the engine writes
with aiokafka's producers, since FastStream knows no transactions.
"""

from dataclasses import dataclass
from typing import Any, Final

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition

from services.processor.kafka_security import security
from services.processor.memory.sizes import FETCH_BYTES
from services.processor.settings import ProcessorSettings
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobCancelRequested,
    JobFinished,
    ProcessorReported,
    RowAccepted,
    RowCreated,
    RowFailed,
    RowUnprocessed,
    SendingPaused,
    SendingResumed,
)
from shared.contract.topics import Topics
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.closing import end_consumer, stop_client

#: How much longer than a call a rebalance may take: calls in flight finish before their lane is handed over.
REBALANCE_MARGIN_SECONDS: Final = 20.0

#: A member hears of a rebalance by its next heartbeat, and all wait for the last one that joins.
HEARTBEAT_MS: Final = 1_000

#: A consumer leaves its group within this time, or without a word.
STOP_SECONDS: Final = 15.0

#: While Kafka is away consumers try this often to reach it; at aiokafka's 100 that was a twentieth of a core.
RETRY_BACKOFF_MS: Final = 500

#: What every subscriber says for itself, since each of FastStream's defaults loses records.
SAFE_SUBSCRIBER: Final[dict[str, Any]] = {
    "ack_policy": AckPolicy.MANUAL,
    **kafka_options.SAFE_READING,
    # aiokafka's 50 MiB are there three times while an answer is taken apart.
    "fetch_max_bytes": FETCH_BYTES,
}


#: What is read under which title: a subscriber without a handler cannot say it itself.
READS: Final[dict[str, tuple[type[Event], ...]]] = {
    "ProcessorRows": (RowAccepted,),
    "ProcessorActivationRequests": (JobFinished, BatchActivationRequested),
    "ProcessorNotices": (JobCancelRequested, SendingPaused, SendingResumed),
    "ProcessorRateSlots": (ProcessorReported,),
}


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The broker, and the subscribers whose raw consumers the engine drives."""

    broker: KafkaBroker
    lanes: Any
    notices: Any
    reports: Any


def lane_topics(topics: Topics) -> tuple[str, ...]:
    """The topics of a lane: one partition index of all of them has one owner, one permit and one commit."""
    return (*topics.rows, topics.jobs)


def declare(
    settings: ProcessorSettings,
    lanes_listener: ConsumerRebalanceListener | None = None,
    assignor: AbstractPartitionAssignor | type[AbstractPartitionAssignor] = RangePartitionAssignor,
) -> Subscriptions:
    """Declares everything; nothing connects before a subscriber is started. `assignor`: who gets which lanes."""
    topics = settings.topics
    broker = KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),
        security=security(settings),
        request_timeout_ms=kafka_options.REQUEST_TIMEOUT_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        allow_auto_create_topics=False,
        consumer_only=True,
        logger=None,
    )
    lanes = broker.subscriber(
        *lane_topics(topics),
        group_id=topics.group("processor"),
        partition_assignment_strategy=(assignor,),
        listener=lanes_listener,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=min(settings.session_timeout_ms // 4, HEARTBEAT_MS),
        rebalance_timeout_ms=int((settings.hospital_api_timeout + REBALANCE_MARGIN_SECONDS) * 1000),
        include_in_schema=False,
        **SAFE_SUBSCRIBER,
    )
    _document_lanes(broker, topics)
    notices = broker.subscriber(
        partitions=[TopicPartition(topics.jobs, partition) for partition in range(topics.partitions)],
        title="ProcessorNotices",
        description="JobCancelRequested, SendingPaused, SendingResumed; read by every processor.",
        **SAFE_SUBSCRIBER,
    )
    reports = broker.subscriber(
        partitions=[TopicPartition(topics.processors, 0)],
        title="ProcessorRateSlots",
        description="ProcessorReported: who may use which slots of the rate limit; read by every processor.",
        **SAFE_SUBSCRIBER,
    )
    _declare_publishers(broker, settings)
    return Subscriptions(broker, lanes, notices, reports)


async def stop_subscriber(subscriber: Any, seconds: float = STOP_SECONDS) -> None:
    """Stops a subscriber whatever state it and Kafka are in: no task and no socket is left.

    aiokafka closes a consumer's client last, and not at all when what comes before fails or hangs.
    """
    consumer = subscriber.consumer

    async def end() -> None:
        if consumer is not None:
            await end_consumer(consumer)

    await stop_client(subscriber.stop, seconds, end)


def _document_lanes(broker: KafkaBroker, topics: Topics) -> None:
    """What the lanes read, for the document: a title has one payload. These subscribers are never started."""
    group = topics.group("processor")
    broker.subscriber(
        *topics.rows,
        group_id=group,
        title="ProcessorRows",
        description="RowAccepted: each becomes one hospital, and one result per round.",
        **SAFE_SUBSCRIBER,
    )
    broker.subscriber(
        topics.jobs,
        group_id=group,
        title="ProcessorActivationRequests",
        description="JobFinished with outcome all_created, BatchActivationRequested.",
        **SAFE_SUBSCRIBER,
    )


def _declare_publishers(broker: KafkaBroker, settings: ProcessorSettings) -> None:
    topics = settings.topics
    broker.publisher(topics.results, title="ProcessorResults", schema=RowCreated | RowFailed | RowUnprocessed)
    broker.publisher(topics.jobs, title="ProcessorActivationAnswers", schema=BatchActivated | BatchActivationFailed)
    broker.publisher(topics.jobs, title="ProcessorPauses", schema=SendingPaused | SendingResumed)
    broker.publisher(topics.processors, title="ProcessorReports", schema=ProcessorReported)
    broker.publisher(topics.dead_letters, title="ProcessorDeadLetters", schema=bytes)
