"""A bundle of rows as Kafka batches."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

from aiokafka.producer.message_accumulator import BatchBuilder

from services.ingest.job_events.prepared_job import Bundle
from services.ingest.job_events.row_encoder import RowHeaders

#: A small upload takes some fifty turns of the event loop, so each turn of a large one has to be short.
_ROWS_PER_TURN: Final = 64


class BatchMaker(Protocol):
    """An AIOKafkaProducer, as far as it is needed here."""

    def create_batch(self) -> BatchBuilder:
        """An empty batch."""


async def row_batches(producer: BatchMaker, bundle: Bundle, headers: RowHeaders) -> AsyncIterator[BatchBuilder]:
    """The batches of a bundle: one, unless it has more bytes than fit. Others get a turn every few rows."""
    batch = producer.create_batch()
    for number, (key, value) in enumerate(bundle.records):
        if number % _ROWS_PER_TURN == _ROWS_PER_TURN - 1:
            await asyncio.sleep(0)
        row_headers = headers.of(key)
        if batch.append(timestamp=None, key=key, value=value, headers=row_headers) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=row_headers)
    yield batch
