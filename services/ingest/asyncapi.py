"""What the ingest service writes, declared with FastStream for the AsyncAPI document. Nothing here connects.

The records themselves are sent in transactions, which FastStream has none of (see `publication`).
"""

from faststream.kafka import KafkaBroker

from shared.contract.events import JobAccepted, RowAccepted
from shared.runtime.settings import KafkaSettings


def declare(settings: KafkaSettings) -> KafkaBroker:
    """A broker that is never started, with a publisher for each topic that uploads are written to."""
    topics = settings.topics
    broker = KafkaBroker(settings.kafka_bootstrap_servers)
    broker.publisher(
        topics.rows_express,
        title="IngestRowsExpress",
        description="The rows of a small job, key job_id:row. In one transaction with its JobAccepted.",
        schema=RowAccepted,
    )
    broker.publisher(
        topics.rows_bulk,
        title="IngestRowsBulk",
        description="The rows of a large job, key job_id:row. In one transaction with its JobAccepted.",
        schema=RowAccepted,
    )
    broker.publisher(
        topics.jobs,
        title="IngestJobs",
        description="A file became a job, key job_id. Written last in the transaction of its rows.",
        schema=JobAccepted,
    )
    return broker
