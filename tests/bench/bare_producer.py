"""`python -m tests.bench.bare_producer BOOTSTRAP TOPIC RECORDS HEADERS`: sends what an upload would, and nothing else.

Keys, headers and values are those of the job, encoded before; each is sent with aiokafka's `send`, by an idempotent
producer, as one writes it first. Prints the seconds from the first record to the last acknowledgement.
"""

import asyncio
import json
import pickle
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from services.ingest.job_events.prepared_job import bundles
from services.ingest.job_events.row_encoder import RowHeaders
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings


async def main(bootstrap: str, topic: str, records: Path, about: RowHeaders) -> None:
    """Sends every record of the file."""
    async with AIOKafkaProducer(
        **kafka_options.producer_options(KafkaSettings(kafka_bootstrap_servers=bootstrap))
    ) as producer:
        await producer.partitions_for(topic)
        began = time.monotonic()
        for bundle in bundles(records):
            for key, value in bundle.records:
                await producer.send(topic, value, key, headers=about.of(key))
        await producer.flush()
        print(json.dumps({"seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), pickle.loads(Path(sys.argv[4]).read_bytes())))
