"""A transactional producer for one job, on a connection of the pool.

An AIOKafkaProducer has a connection and a transactional id for its whole life. An id for each job is needed, so that
an upload that broke off can be fenced. A new connection for each job would cost more than all the rest.
"""

import asyncio
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from services.ingest.publication.connection_pool import Connection
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings
from shared.runtime.timeouts import detach, run_with_timeout

#: How long Kafka keeps a transaction open that nobody ends, for a job of a few rows.
_TRANSACTION_SECONDS: Final = 10.0
_ROWS_PER_EXTRA_SECOND: Final = 5_000
#: Most bytes of a batch: a bundle with its keys and headers fits.
_BATCH_BYTES: Final = 256 * 1024
_ABORT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 30.0
#: For what needs no answer of Kafka.
_CUT_OFF_SECONDS: Final = 5.0
_CANCEL_SECONDS: Final = 0.2


class JobProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
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
        with suppress(Exception):
            await run_with_timeout(stop_seconds, self.stop())
            return
        with suppress(Exception):
            await run_with_timeout(_CUT_OFF_SECONDS, self._cut_off())

    async def _cut_off(self) -> None:
        """Ends what `stop` waited for in vain: it closes the client last, and its sender connects anew until then."""
        self.client.send = _refused
        # Nobody answers them on a closed client: what waits for one would wait for ever.
        self.client.force_metadata_update = _no_metadata
        if self.client._md_update_fut is not None and not self.client._md_update_fut.done():
            self.client._md_update_fut.set_result(False)
        await self.client.close()
        await self._end_sending()
        self._fail_records()
        if self._txn_manager._transaction_waiter is not None:
            self._txn_manager._transaction_waiter.cancel()

    def _fail_records(self) -> None:
        records = self._message_accumulator
        # A batch that was sent once and is to be sent again has left this set, and aiokafka removes it once more.
        records._pending_batches.update(chain.from_iterable(records._batches.values()))
        for batch in records._pending_batches:
            detach(batch.future)
            detach(batch._drain_waiter)
        records.fail_all(KafkaConnectionError("closed"))

    async def _end_sending(self) -> None:
        sending = self._sender.sender_task
        if sending is None:
            return
        detach(sending)
        while not sending.done():
            sending.cancel()  # the first time it waits for its requests, the second time it gives them up
            await asyncio.wait({sending}, timeout=_CANCEL_SECONDS)


async def _refused(*_: object, **__: object) -> None:
    raise KafkaConnectionError("closed")


def _no_metadata() -> asyncio.Future[bool]:
    answer = asyncio.get_running_loop().create_future()
    answer.set_result(False)
    return answer


def job_producer(settings: KafkaSettings, connection: Connection, job_id: str, rows: int) -> JobProducer:
    """The producer of a job of so many rows, not started."""
    return JobProducer(
        connection,
        **kafka_options.producer_options(settings),
        transactional_id=settings.topics.transactional_id(job_id),
        transaction_timeout_ms=int(1000 * (_TRANSACTION_SECONDS + rows / _ROWS_PER_EXTRA_SECOND)),
        max_batch_size=_BATCH_BYTES,
    )
