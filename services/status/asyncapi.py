"""What the status service reads and writes, declared with FastStream for the AsyncAPI document. Nothing here connects.

FastStream's own loop cannot start from offsets that are kept in a database: `reader` drives the consumer itself.
"""

from typing import Any, Final

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from pydantic import RootModel

from services.status.commands.retry_transactions import PURPOSE
from services.status.webhooks.webhook_consumer import PURPOSE as WEBHOOKS
from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    JobAccepted,
    JobCancelRequested,
    JobFinished,
    JobRetryRequested,
    ProcessorReported,
    RowAccepted,
    RowCreated,
    RowFailed,
    RowResolved,
    RowUnprocessed,
)
from shared.runtime.settings import KafkaSettings

_PROJECTED: Final = "Projected into tables. Acknowledged by the database: offsets are stored with the rows."
_CARRIED_OUT: Final = (
    "Carried out once by the partition's owner. Acknowledged by Kafka: offsets are written with the rows of the round."
)
_POSTED: Final = "Posted as a webhook, at least once. Acknowledged by Kafka, with what is delivered after the offset."
_NEW_ROUND: Final = "Rows of a retry, in one transaction with the offset of its request. Key job_id:row."

_JobEvents = (
    JobAccepted
    | JobCancelRequested
    | JobRetryRequested
    | JobFinished
    | BatchActivationRequested
    | BatchActivated
    | BatchActivationFailed
    | RowResolved
)


class StatusReadsResult(RootModel[RowCreated | RowFailed | RowUnprocessed]):
    """What became of a row: `ce_type` names which of these it is."""


class StatusReadsJobEvent(RootModel[_JobEvents]):
    """What happened to a job, a batch or a row by hand: `ce_type` names which of these it is."""


class StatusWritesJobEvent(
    RootModel[JobFinished | BatchActivationRequested | JobCancelRequested | JobRetryRequested | RowResolved]
):
    """What the service says itself: `ce_type` names which of these it is."""


def declare(settings: KafkaSettings) -> KafkaBroker:
    """A broker that is never started, with what is read and what is written; each has its own title."""
    topics = settings.topics
    broker = KafkaBroker(settings.kafka_bootstrap_servers)
    for topic, title, payload in (
        (topics.results, "StatusResults", StatusReadsResult),
        (topics.jobs, "StatusJobs", StatusReadsJobEvent),
        (topics.processors, "StatusProcessors", ProcessorReported),
    ):
        _reads(broker, topic, topics.group("status"), title, payload, _PROJECTED)
    _reads(broker, topics.jobs, topics.group(PURPOSE), "StatusRetryRequests", JobRetryRequested, _CARRIED_OUT)
    _reads(broker, topics.jobs, topics.group(WEBHOOKS), "StatusWebhooks", JobFinished, _POSTED)
    broker.publisher(
        topics.jobs,
        title="StatusJobEvents",
        description="JobFinished when every row of a round has a result; the others by hand. Key job_id.",
        schema=StatusWritesJobEvent,
    )
    for topic, title in zip(topics.rows, ("StatusRetriedExpressRows", "StatusRetriedBulkRows"), strict=True):
        broker.publisher(topic, title=title, description=_NEW_ROUND, schema=RowAccepted)
    broker.publisher(
        topics.results,
        title="StatusUnreadableRows",
        description="A row whose event could never be read fails in a new round too. Key job_id.",
        schema=RowFailed,
    )
    broker.publisher(
        topics.dead_letters,
        title="StatusDeadLetters",
        description="A record that cannot be decoded, or a JobFinished whose webhook nobody took, as received.",
        schema=bytes,
    )
    return broker


def _reads(broker: KafkaBroker, topic: str, group: str, title: str, payload: Any, description: str) -> None:
    subscriber = broker.subscriber(
        topic,
        group_id=group,
        title=title,
        description=description,
        # Offsets are committed by hand, after the database has them.
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="none",
        isolation_level="read_committed",
    )

    async def projected(event: payload) -> None:
        """Documents the payload; never called, since the broker is never started."""

    subscriber(projected)
