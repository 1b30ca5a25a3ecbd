"""`python -m tests.bench.asker URL…`: asks for the URLs in turn at fixed times, whatever became of those before.

A process of its own, so that nothing but the service makes an answer late. It begins with the first line of its
standard input and ends with the last; then it prints how long each answer took, as JSON: seconds from the moment when
the question was due, in order.
"""

import asyncio
import itertools
import json
import sys

import aiohttp

EVERY_SECONDS = 0.02


async def main(urls: list[str]) -> None:
    """Asks until nobody listens any more."""
    waits: list[float] = []
    await asyncio.to_thread(sys.stdin.readline)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, asyncio.TaskGroup() as group:
        asking = group.create_task(ask(http, urls, waits))
        await asyncio.to_thread(sys.stdin.read)
        asking.cancel()
    print(json.dumps(waits))


async def ask(http: aiohttp.ClientSession, urls: list[str], waits: list[float]) -> None:
    """One question after the other, without waiting for their answers, once there is a connection."""
    loop = asyncio.get_running_loop()
    await answer(http, urls[0], loop.time(), waits)
    began = loop.time()
    async with asyncio.TaskGroup() as questions:
        for number, url in enumerate(itertools.cycle(urls)):
            due = began + number * EVERY_SECONDS
            await asyncio.sleep(due - loop.time())
            questions.create_task(answer(http, url, due, waits))


async def answer(http: aiohttp.ClientSession, url: str, due: float, waits: list[float]) -> None:
    """Notes how long after it was due the question was answered, with a status."""
    async with http.get(url) as found:
        await found.read()
        if found.status == 200:
            waits.append(asyncio.get_running_loop().time() - due)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
