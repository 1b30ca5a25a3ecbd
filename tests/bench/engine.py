"""`python -m tests.bench.engine`: what the engine's guarantees cost, beside loops that have none, in the same run.

(a) a bare loop of the same HTTP client with as many connections, (b) a plain FastStream consumer: in turns with the
engine, the best of three rounds each, since other work on the machine only ever slows down. Then both at 50 ms a call,
and the engine's memory over 200,000 rows. A real broker, the sandbox directory, one process each; rows/s from the
first to the last request that the directory saw. Figures of one machine: read them as ratios.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from deploy.local.broker.kafka import Broker
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

FULL = os.environ.get("BENCH_FULL") == "1"
ROUNDS = 3
CONNECTIONS = 64
ROWS = 40_000 if FULL else 15_000
PLAIN_ROWS = 5_000 if FULL else 2_000
LATENCY_MS = 50
MEMORY_ROWS = 200_000
MEMORY_STEPS = 8
#: The service's own defaults, but for the rate limit, which would hide the cost.
ENVIRONMENT = {
    "RATE_LIMIT_REQUESTS": "0",
    "LEASE_SECONDS": "10",
    "HOSPITAL_API_TIMEOUT": "10",
    "HOSPITAL_API_MAX_CONNECTIONS": str(CONNECTIONS),
}


@dataclass(frozen=True)
class Figure:
    """What one contender did."""

    rows: int
    seconds: float
    cpu_seconds: float

    @property
    def rows_per_second(self) -> float:
        """As the directory saw it."""
        return self.rows / self.seconds

    def line(self, name: str) -> str:
        """One line of the report."""
        cpu = self.cpu_seconds / self.rows * 1e6
        return f"{name:<44}{self.rows_per_second:>8,.0f} rows/s{cpu:>9,.0f} µs CPU a row"


async def main() -> None:
    """Measures one after the other, and prints each figure as it comes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Broker(Path(directory) / "kafka") as broker:
        async with system_on(broker, Path(directory)) as system:
            await at_zero_latency(system, broker)
            await system.inject(latency_ms=LATENCY_MS)
            await at_latency(system)
            await system.inject(latency_ms=0)
            await memory(system)
            await system.stop_processors()


async def at_zero_latency(system: ProcessorSystem, broker: Broker) -> None:
    """The three in turns, so that the machine's other work falls on all."""
    (processor,) = await system.start_processors(1)
    bares, plains, engines = [], [], []
    for _ in range(ROUNDS):
        bares.append(await bare_loop(system))
        plains.append(await plain_consumer(system, broker.bootstrap))
        engines.append(await of_engine(system, processor, ROWS))
    bare, plain, engine = (max(each, key=lambda figure: figure.rows_per_second) for each in (bares, plains, engines))
    print(bare.line("(a) bare loop, aiohttp"))
    print(plain.line("(b) plain FastStream consumer, httpx"))
    print(engine.line("engine, one processor"))
    print(f"    {engine.rows_per_second / bare.rows_per_second:.2f} of the bare loop (aim: 0.5)")
    print(f"    {engine.rows_per_second / plain.rows_per_second:.1f} times the plain consumer (aim: 3)", flush=True)


async def at_latency(system: ProcessorSystem) -> None:
    """With a slow directory the connections are the limit."""
    possible = CONNECTIONS * 1000 / LATENCY_MS
    bares, engines = [], []
    for _ in range(ROUNDS):
        bares.append(await bare_loop(system))
        engines.append(await of_engine(system, system.processors[0], ROWS))
    bare, engine = (max(each, key=lambda figure: figure.rows_per_second) for each in (bares, engines))
    print(bare.line(f"(a) bare loop, {LATENCY_MS} ms a call, {CONNECTIONS} connections"))
    print(engine.line(f"engine, {LATENCY_MS} ms a call, {CONNECTIONS} connections"))
    share = engine.rows_per_second / bare.rows_per_second
    print(f"    {engine.rows_per_second / possible:.0%} of the possible {possible:,.0f} (aim: 95 %)")
    print(f"    {share:.0%} of what the bare loop gets of it on this machine now", flush=True)


@asynccontextmanager
async def system_on(broker: Broker, folder: Path) -> AsyncIterator[ProcessorSystem]:
    """A system with topics of its own."""
    async with ProcessorSystem(broker.bootstrap, f"b{uuid4().hex[:6]}.", folder, **ENVIRONMENT) as system:
        yield system


async def bare_loop(system: ProcessorSystem) -> Figure:
    """The client alone."""
    return await of_process(system, ROWS, "tests.bench.bare_loop", system.directory_url, ROWS, CONNECTIONS)


async def plain_consumer(system: ProcessorSystem, bootstrap: str) -> Figure:
    """The consumer that one would write first; its rows are on a topic that the engine does not read."""
    topic = system.topics.dead_letters
    await system.write([(topic, row) for row in make_job(PLAIN_ROWS).rows])
    module = "tests.bench.plain_consumer"
    return await of_process(system, PLAIN_ROWS, module, bootstrap, topic, system.directory_url, PLAIN_ROWS, CONNECTIONS)


async def of_process(system: ProcessorSystem, rows: int, module: str, *arguments: object) -> Figure:
    """Runs a contender that prints its CPU seconds."""
    await system.reset()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, f"{module} failed"
    return Figure(rows, await seconds_seen(system), json.loads(out)["cpu"])


async def of_engine(system: ProcessorSystem, processor: Processor, rows: int) -> Figure:
    """A job of that many rows through a processor that idles: from the topics to its results."""
    await system.reset()
    before = len(await system.results())
    process = psutil.Process(processor.process.pid)
    cpu = sum(process.cpu_times()[:2])
    await system.publish(make_job(rows), express=False)
    await until(f"{rows} rows are created", lambda: has_created(system, rows), 1200)
    await system.wait_for_results(before + rows, 30)
    return Figure(rows, await seconds_seen(system), sum(process.cpu_times()[:2]) - cpu)


async def memory(system: ProcessorSystem) -> None:
    """Prints the resident memory after each eighth of 200,000 rows: it must not grow with what has been done."""
    process = psutil.Process(system.processors[0].process.pid)
    await system.reset()
    step = MEMORY_ROWS // MEMORY_STEPS
    print(f"memory over {MEMORY_ROWS:,} rows, MB:", end="", flush=True)
    for number in range(1, MEMORY_STEPS + 1):
        await system.publish(make_job(step), express=False)
        await until("another step is created", lambda done=number * step: has_created(system, done), 1200)
        print(f" {process.memory_info().rss / 1e6:.0f}", end="", flush=True)
    print()


async def has_created(system: ProcessorSystem, rows: int) -> bool:
    """Whether the directory holds so many; asked seldom, since it answers from the same core."""
    await asyncio.sleep(0.3)
    return (await system.admin("overview"))["creates"] >= rows


async def seconds_seen(system: ProcessorSystem) -> float:
    """From the first to the last request that the directory saw."""
    times = [request["wall"] for request in await system.log("requests")]
    return max(times) - min(times)


if __name__ == "__main__":
    began = time.monotonic()
    asyncio.run(main())
    print(f"measured in {time.monotonic() - began:.0f} s")
