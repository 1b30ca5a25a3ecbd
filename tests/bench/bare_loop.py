"""`python -m tests.bench.bare_loop URL ROWS CONNECTIONS`: the same HTTP client in a loop, without Kafka or promises."""

import asyncio
import json
import sys
import time

import aiohttp

from tests.support.processor.jobs import make_job


async def main(url: str, rows: int, connections: int) -> None:
    """Creates that many hospitals; prints the CPU seconds that it took."""
    left = iter(make_job(rows).rows)
    connector = aiohttp.TCPConnector(limit=connections)
    began = time.process_time()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client:

        async def keep_creating() -> None:
            for row in left:
                body = {"name": row.name, "address": row.address, "phone": row.phone, "creation_batch_id": row.batch_id}
                async with client.post(f"{url}/hospitals/", json=body) as answer:
                    assert (await answer.json())["id"]

        await asyncio.gather(*(keep_creating() for _ in range(connections)))
    print(json.dumps({"cpu": time.process_time() - began}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
