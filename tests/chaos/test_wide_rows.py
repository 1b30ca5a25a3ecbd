"""Rows of 100 kB on all lanes, more of them than memory: the processor stays within PROCESSOR_MEMORY_MB."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contract.cloud_events import header
from shared.contract.events import JobCancelRequested, SendingPaused, SendingResumed
from shared.runtime.kafka import kafka_options
from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full, sized
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

MakeSystem = Callable[..., Awaitable[ProcessorSystem]]

PARTITIONS = sized(12, 60)
#: Little more than the least; and the default.
MEMORY_MB = sized(170, 384)
ROWS = sized(1_000, 4_000)
JOB_ROWS = sized(250, 500)
SMALL = 20
#: 100 columns of 1,000 letters.
NOTE = "An emergency room that is open at all hours, with a helicopter pad. "
WIDE = tuple((NOTE * 15)[:1000] for _ in range(100))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is in Linux's /proc")


async def test_wide_rows_on_all_lanes_stay_within_the_memory(wide: ProcessorSystem, kept: Kept):
    """And a small job that comes behind them is done before they are."""
    jobs = await publish_wide_jobs(wide)
    async with own_process(wide) as pid, Outcomes(wide) as outcomes:
        await until("no more is read", Standstill(wide), sized(60, 300))
        await wide.publish(small := make_job(SMALL))
        await wide.write([(wide.topics.jobs, SendingResumed(request_id="resume"))])
        began = time.monotonic()
        await until("the small job is done", lambda: outcomes.has(small), 60)
        seconds, before = time.monotonic() - began, len(outcomes.count)
        await until("every row has its result", lambda: outcomes.has(*jobs), sized(120, 600))
        peak = peak_mb(pid)
    assert peak <= MEMORY_MB, f"{peak:.0f} MB at its peak"
    assert before < ROWS, "the small job had to wait for the large ones"
    assert set(outcomes.count.values()) == {1}
    stats = await wide.admin("stats")
    assert (stats["creates"], stats["doubles_total"]) == (ROWS + SMALL, 0)
    kept(
        f"{ROWS} rows of 100 kB on {PARTITIONS} lanes: {peak:.0f} of {MEMORY_MB} MB at the peak; "
        f"a small job behind them took {seconds:.1f} s"
    )


@only_in_full
async def test_wide_rows_that_are_cancelled_together_stay_within_the_memory(wide: ProcessorSystem, kept: Kept):
    """Rows in the windows get their results by the batch: nobody had owned the lanes, so each is looked up first."""
    jobs = await publish_wide_jobs(wide)
    async with own_process(wide) as pid, Outcomes(wide) as outcomes:
        await until("no more is read", Standstill(wide), sized(60, 300))
        cancels = [JobCancelRequested(tenant="public", job_id=job.job_id) for job in jobs]
        resumed = SendingResumed(request_id="resume")
        await wide.write([(wide.topics.jobs, event) for event in (*cancels, resumed)])
        await until("every row has its result", lambda: outcomes.has(*jobs), sized(120, 600))
        peak = peak_mb(pid)
    assert peak <= MEMORY_MB, f"{peak:.0f} MB at its peak"
    assert set(outcomes.count.values()) == {1}
    assert (await wide.admin("stats"))["creates"] == 0
    kept(f"{ROWS} rows of 100 kB cancelled: {peak:.0f} of {MEMORY_MB} MB at the peak")


@pytest.fixture
async def wide(make_system: MakeSystem, free_port: int) -> ProcessorSystem:
    """A system without a processor, in which sending is paused."""
    system = await make_system(
        KAFKA_TOPIC_PARTITIONS=str(PARTITIONS),
        PROCESSOR_MEMORY_MB=str(MEMORY_MB),
        HTTP_PORT=str(free_port),
        # As in an installation: with a lease of 2 s many lanes commit so often that a busy broker falls behind.
        LEASE_SECONDS="10",
        HOSPITAL_API_TIMEOUT="10",
    )
    await system.write([(system.topics.jobs, SendingPaused(request_id="pause"))])
    return system


async def publish_wide_jobs(system: ProcessorSystem) -> list[Job]:
    """Jobs with more rows than memory holds."""
    jobs = [wide_job(JOB_ROWS) for _ in range(ROWS // JOB_ROWS)]
    for job in jobs:
        await system.publish(job, express=False)
    return jobs


class Standstill:
    """Whether a processor has read rows, and for two seconds no more."""

    def __init__(self, system: ProcessorSystem) -> None:
        self._url = f"http://127.0.0.1:{system.environment['HTTP_PORT']}/metrics"
        self._held = ""
        self._since = 0.0

    async def __call__(self) -> bool:
        with suppress(aiohttp.ClientError):  # it is starting
            async with aiohttp.ClientSession() as session, session.get(self._url) as answer:
                lines = (await answer.text()).splitlines()
            held = next(line for line in lines if line.startswith('hospital_processor_memory_bytes{of="held"}'))
            if held != self._held:
                self._held, self._since = held, time.monotonic()
        return not self._held.endswith(" 0.0") and 0 < self._since < time.monotonic() - 2


def wide_job(rows: int) -> Job:
    """A job with rows of 100 kB, which share their strings here."""
    job = make_job(rows)
    return Job(job.job_id, [row.model_copy(update={"cells": (*row.cells, *WIDE)}) for row in job.rows])


@asynccontextmanager
async def own_process(system: ProcessorSystem) -> AsyncIterator[int]:
    """A processor as an operator starts it, as its process id: a forked one has the memory of others too."""
    environment = {**os.environ, **system.environment, "HOSPITAL_API_BASE_URL": system.directory_url}
    command = (sys.executable, "-m", "services.processor")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield process.pid
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def peak_mb(pid: int) -> float:
    """The most memory that a process has had resident, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


class Outcomes:
    """Counts results by job and row, and keeps nothing else of them."""

    def __init__(self, system: ProcessorSystem) -> None:
        self.count: Counter[str] = Counter()
        self._where = [TopicPartition(system.topics.results, index) for index in range(PARTITIONS)]
        self._consumer = AIOKafkaConsumer(**kafka_options.consumer_options(system.settings), fetch_max_bytes=8_000_000)

    async def __aenter__(self) -> "Outcomes":
        await self._consumer.start()
        self._consumer.assign(self._where)
        await self._consumer.seek_to_beginning(*self._where)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def has(self, *jobs: Job) -> bool:
        """Whether every row of the jobs has a result."""
        await self._read()
        return all(row.event_id in self.count for job in jobs for row in job.rows)

    async def _read(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=100)).values():
            for record in records:
                named = (header(record.headers, "ce_id") or "").split(":")
                self.count[":".join(named[:3])] += 1
