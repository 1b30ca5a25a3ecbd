"""Short rows under 500 long column names: what they become on Kafka, and what ingest and a processor need for them.

The record of each row once repeated the names: 382 kB with 300 rows became 115 MB, and took 700 MB of ingest.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.runtime.kafka import kafka_options
from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, sized
from tests.support.ingest.ingest_process import IngestProcess
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

MakeSystem = Callable[..., Awaitable[ProcessorSystem]]

#: 500 columns whose names have 760 bytes each: 382 kB.
NAMES = ("name", "address", *(f"{number:03}" + "🏥" * 189 for number in range(498)))
LONG_HEADER = ",".join(NAMES).encode() + b"\n"
MOST_GROWTH_MB = 100
#: docs/limits.md: what a row's record takes beside what stands in the file.
BYTES_A_ROW = 700
MANY = 1_000_000
#: So many of the many rows get a result while memory is watched; the windows of the processor are full meanwhile.
RESULTS_OF_MANY = 20_000


def rows(count: int) -> bytes:
    """So many of them, as short as they can be."""
    return "".join(f"n{number},a{number}\n" for number in range(count)).encode()


class Memory:
    """By how much a process has grown at most, with those that it started, since it was idle."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._idle = self._most = read()

    def look(self) -> None:
        """Called every few hundredths of a second."""
        self._most = max(self._most, self._read())

    @property
    def growth_mb(self) -> float:
        return (self._most - self._idle) / 1e6


@asynccontextmanager
async def watched(ingest: IngestProcess, processor: Processor) -> AsyncIterator[tuple[Memory, Memory]]:
    """The memory of ingest and of the processor, from here on."""
    process = psutil.Process(processor.process.pid)
    both = Memory(ingest.memory), Memory(lambda: process.memory_info().rss)

    async def watch() -> None:
        while True:
            for memory in both:
                memory.look()
            await asyncio.sleep(0.03)

    watching = asyncio.create_task(watch())
    try:
        yield both
    finally:
        watching.cancel()


@asynccontextmanager
async def services(
    make_system: MakeSystem, folder: Path, worked: int
) -> AsyncIterator[tuple[ProcessorSystem, IngestProcess]]:
    """Ingest, and a processor that has all lanes. Both have worked on so many rows: what they load once is loaded."""
    system = await make_system(**FASTER_SETTINGS)
    ingest = IngestProcess(
        folder,
        {name: value for name, value in system.environment.items() if name.startswith("KAFKA_")}
        | {"RATE_LIMIT_REQUESTS": "0"},
    )
    await system.start_processors(1)
    await ingest.start()
    try:
        await accepted(ingest, b"name,address\n" + rows(worked))
        await until("the first rows have results", lambda: has_results(system, worked), 300)
        yield system, ingest
    finally:
        ingest.kill()


async def accepted(ingest: IngestProcess, content: bytes) -> float:
    """Uploads, asserts that it became a job, and returns the seconds that it took."""
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=ingest.url, timeout=600) as client:
        answer = await client.post(
            "/api/v1/hospitals/bulk",
            files={"file": ("names.csv", content, "text/csv")},
            headers={"Idempotency-Key": f"key-{len(content)}"},
        )
    assert answer.status_code == 202, answer.text
    return time.monotonic() - began


async def end_offsets(system: ProcessorSystem, topic: str) -> dict[TopicPartition, int]:
    async with AIOKafkaConsumer(**kafka_options.consumer_options(system.settings)) as consumer:
        partitions = [TopicPartition(topic, each) for each in range(system.settings.kafka_topic_partitions)]
        return dict(await consumer.end_offsets(partitions))


async def has_results(system: ProcessorSystem, count: int) -> bool:
    """Counted by offsets, which the markers of transactions have too: a few more than there are results."""
    return sum((await end_offsets(system, system.topics.results)).values()) >= count


async def record_bytes(system: ProcessorSystem, topic: str, begin: dict[TopicPartition, int], most: int) -> float:
    """The mean size of records from these offsets on, headers included, of at most so many."""
    sizes: list[int] = []
    async with AIOKafkaConsumer(**kafka_options.consumer_options(system.settings)) as consumer:
        consumer.assign(list(begin))
        for partition, offset in begin.items():
            consumer.seek(partition, offset)
        while len(sizes) < most and (found := await consumer.getmany(timeout_ms=1_000)):
            for record in (record for records in found.values() for record in records):
                headers = sum(len(name) + len(value) for name, value in record.headers)
                sizes.append(len(record.key) + len(record.value) + headers)
    return sum(sizes) / len(sizes)


@pytest.mark.parametrize("count", sized([300], [300, MANY]))
async def test_short_rows_under_long_names_stay_short(make_system: MakeSystem, tmp_path: Path, kept: Kept, count: int):
    """On Kafka, in ingest and in the processor; however many they are."""
    worked = 20 if count <= 1_000 else 45_000  # a large file is read by processes that ingest starts for the first one
    async with services(make_system, tmp_path, worked) as (system, ingest):
        topic = system.topics.rows_express if count <= 1_000 else system.topics.rows_bulk
        begin, done = await end_offsets(system, topic), sum((await end_offsets(system, system.topics.results)).values())
        content = LONG_HEADER + rows(count)
        async with watched(ingest, system.processors[0]) as (of_ingest, of_processor):
            seconds = await accepted(ingest, content)
            wanted = done + min(count, RESULTS_OF_MANY)
            await until("the rows have results", lambda: has_results(system, wanted), 600)
        mean = await record_bytes(system, topic, begin, min(count, 20_000))
        figures = (
            f"{count} short rows under 382 kB of names: {len(content) / 1e6:.1f} MB uploaded in {seconds:.1f} s, "
            f"{mean:.0f} bytes a row on Kafka; ingest grew by {of_ingest.growth_mb:.0f} MB, "
            f"the processor by {of_processor.growth_mb:.0f} MB"
        )
        assert mean <= BYTES_A_ROW, figures
        assert of_ingest.growth_mb < MOST_GROWTH_MB, figures
        assert of_processor.growth_mb < MOST_GROWTH_MB, figures
        kept(figures)
