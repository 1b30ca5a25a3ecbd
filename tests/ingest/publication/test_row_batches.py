"""What publishing a large job leaves of the event loop to others."""

import asyncio

from services.ingest.job_events.prepared_job import Bundle
from services.ingest.job_events.row_encoder import RowHeaders, RowRecord
from services.ingest.publication.row_batches import row_batches


class Batch(list):
    """A batch of Kafka's in which a thousand records fit."""

    def append(self, **record: object) -> object:
        """As aiokafka's: None when it is full."""
        return None if len(self) == 1_000 else (super().append(record) or record)


class Producer:
    """Makes batches and nothing else."""

    create_batch = Batch


async def test_others_get_a_turn_every_few_rows_of_a_large_job():
    """A small upload takes some fifty turns of the event loop: with 5 ms each it would be slow."""
    rows = [RowRecord(b"%d" % number, b"x") for number in range(1_500)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    found = [len(batch) async for batch in row_batches(Producer(), Bundle(0, rows), RowHeaders([], [], [], b":1"))]
    task.cancel()

    assert found == [1_000, 500]
    assert turns > 20
