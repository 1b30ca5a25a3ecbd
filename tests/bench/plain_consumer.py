"""`python -m tests.bench.plain_consumer BOOTSTRAP TOPIC URL ROWS WORKERS`: what one writes first, and at most once.

A FastStream subscriber with `max_workers` and httpx's own transport: offsets are committed before the call.
"""

import asyncio
import json
import sys
import time

import httpx
from faststream.kafka import KafkaBroker

from shared.contract.events import RowAccepted


async def main(bootstrap: str, topic: str, url: str, rows: int, workers: int) -> None:
    """Creates a hospital per record until there were that many; prints the CPU seconds that it took."""
    broker = KafkaBroker(bootstrap, logger=None)
    limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
    client = httpx.AsyncClient(limits=limits, timeout=None)
    done = asyncio.Event()
    created = 0

    @broker.subscriber(topic, group_id="plain", auto_offset_reset="earliest", max_workers=workers)
    async def create(row: RowAccepted) -> None:
        nonlocal created
        body = {"name": row.name, "address": row.address, "phone": row.phone, "creation_batch_id": row.batch_id}
        answer = await client.post(f"{url}/hospitals/", json=body)
        assert answer.json()["id"]
        created += 1
        if created == rows:
            done.set()

    began = time.process_time()
    await broker.start()
    await done.wait()
    print(json.dumps({"cpu": time.process_time() - began}), flush=True)
    await broker.stop()
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], *map(int, sys.argv[4:])))
