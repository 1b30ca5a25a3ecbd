"""A transactional producer for one job, on a connection of the pool.

An AIOKafkaProducer has a connection and a transactional id for its whole life. An id for each job is needed, so that
an upload that broke off can be fenced. A new connection for each job would cost more than all the rest.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from services.ingest.publication.connection_pool import Connection
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Producer
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import run_with_timeout

#: How long Kafka keeps a transaction open that nobody ends, for a job of a few rows.
_TRANSACTION_SECONDS: Final = 10.0
_ROWS_PER_EXTRA_SECOND: Final = 5_000
#: Most bytes of a batch: a bundle with its keys and headers fits.
_BATCH_BYTES: Final = 256 * 1024
_ABORT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 30.0


class JobProducer(Producer):
    """Uses a connection that stays open when the producer ends."""

    def __init__(self, connection: Connection, **options: Any) -> None:
        super().__init__(**options)
        self._connection = connection
        # The client that this producer made has not connected. Everything that refers to it gets the pool's.
        self.client = self._sender.client = connection.client
        self._metadata = self._message_accumulator._cluster = connection.client.cluster

    async def start(self) -> None:
        """Connects if necessary, and fences any other producer of the job."""
        await self._connection.open()
        await self._sender.start()

    async def end(self) -> None:
        """Ends it without closing the connection. None of its requests may be unanswered."""
        self._closed = True
        sending = self._sender.sender_task
        sending.cancel()
        await asyncio.wait({sending})

    async def abort(self, abort_seconds: float = _ABORT_SECONDS, stop_seconds: float = _STOP_SECONDS) -> None:
        """Aborts what is open, ends it and closes the connection. Never raises; takes at most 40 s.

        No task and no socket of it is left then, whatever state it and Kafka are in.
        """
        with suppress(Exception):
            # Else the open transaction would hide the records of others until Kafka ends it.
            await run_with_timeout(abort_seconds, self.abort_transaction())
        await self.stop(stop_seconds)


def job_producer(settings: KafkaSettings, connection: Connection, job_id: str, rows: int) -> JobProducer:
    """The producer of a job of so many rows, not started."""
    return JobProducer(
        connection,
        **kafka_options.producer_options(settings),
        transactional_id=settings.topics.transactional_id(job_id),
        transaction_timeout_ms=int(1000 * (_TRANSACTION_SECONDS + rows / _ROWS_PER_EXTRA_SECOND)),
        max_batch_size=_BATCH_BYTES,
    )
