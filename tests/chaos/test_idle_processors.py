"""Processors that have nothing to do for long, or no Kafka: they are well, and at work as soon as they can be."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.broker.kafka import Broker
from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, only_in_full, sized
from tests.support.audit import activate, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

#: At full size longer than Kafka's clients let a member be idle, and than a liveness check waits.
IDLE_SECONDS = sized(1, 330)
AWAY_SECONDS = 400
ROWS = sized(20, 1000)
#: Little enough that a rate limit of 10 a second has soon let them through.
FEW_ROWS = 20
PROCESSORS, PARTITIONS = sized((3, 2), (8, 6))
JOBS = sized(3, 12)
#: How much of a core an idle processor may use; it polls and keeps its place in the group. It is about a hundredth.
IDLE_SHARE, MEASURED_SECONDS = 0.05, 10


async def test_a_processor_beyond_the_partitions_waits_and_takes_over(
    make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """It is alive all the time, disturbs nobody, and does the work when the other one has gone."""
    system = await make_system(**FASTER_SETTINGS, KAFKA_TOPIC_PARTITIONS="1")
    both = [await system.start_processor() for _ in range(2)]

    def one_has_nothing() -> bool:
        return sorted(len(each.lanes()) for each in both) == [0, 1] and all(
            each.logged("lanes_assigned") for each in both
        )

    await until("one of them has the lane, the other knows that it has none", one_has_nothing, 40)
    owner, spare = sorted(both, key=lambda each: len(each.lanes()), reverse=True)
    assignments = len(owner.logged("lanes_assigned"))
    await all_stay_well(both, IDLE_SECONDS)
    assert len(owner.logged("lanes_assigned")) == assignments, "the spare one disturbed the owner"
    await owner.stop()
    job = make_job(ROWS)
    await system.publish(job)
    audit = await finish_and_audit(system, job, seconds=60)
    assert audit.kinds == {"RowCreated": ROWS}
    assert spare.logged("lane_taken_over")
    kept(f"one processor too many for {IDLE_SECONDS} s: alive, then took over; {audit.summary()}")


async def test_with_more_processors_than_partitions_every_job_is_activated(
    make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """Requests came to processors without a lane, which never sent them."""
    system = await make_system(**FASTER_SETTINGS, KAFKA_TOPIC_PARTITIONS=str(PARTITIONS))
    processors = [await system.start_processor() for _ in range(PROCESSORS)]

    def every_lane_has_an_owner() -> bool:
        return sorted(index for each in processors for index in each.lanes()) == list(range(PARTITIONS)) and all(
            each.logged("lanes_assigned") for each in processors
        )

    await until("every lane has an owner, all know their lanes", every_lane_has_an_owner, 60)
    jobs = [make_job(ROWS) for _ in range(JOBS)]
    for job in jobs:
        await system.publish(job)
    await system.wait_for_results(ROWS * JOBS, sized(60, 300))
    for job in jobs:
        await activate(system, job)
    audit = await finish_and_audit(system, *jobs, seconds=1)
    assert audit.kinds == {"RowCreated": ROWS * JOBS}
    kept(f"{PROCESSORS} processors on {PARTITIONS} partitions: {JOBS} jobs of {ROWS} rows, all activated")


@pytest.mark.parametrize("rate", ["0", "10"])
async def test_idle_processors_use_little_of_a_core(system: ProcessorSystem, rate: str, kept: Kept):
    """With and without a rate limit, after they had work: nobody looks for more without a pause."""
    processors = await system.start_processors(2, RATE_LIMIT_REQUESTS=rate)
    job = make_job(FEW_ROWS)
    await system.publish(job)
    await system.wait_for_results(FEW_ROWS, 40)
    await asyncio.sleep(1)
    before = [cpu_seconds(each) for each in processors]
    await asyncio.sleep(MEASURED_SECONDS)
    used = [cpu_seconds(each) - at for each, at in zip(processors, before, strict=True)]
    assert max(used) < IDLE_SHARE * MEASURED_SECONDS, f"seconds of CPU in {MEASURED_SECONDS} s: {used}"
    kept(f"limit {rate}: an idle processor used {max(used) / MEASURED_SECONDS:.1%} of a core")


def cpu_seconds(processor: Processor) -> float:
    """How much CPU a processor has used, in seconds."""
    fields = Path(f"/proc/{processor.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@only_in_full
async def test_nobody_is_stuck_while_kafka_is_away(
    own_broker: Callable[[], Broker], make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """A restart would not bring Kafka back: whoever waits for it is alive, also one that starts meanwhile."""
    broker = own_broker()
    system = await make_system(broker.bootstrap, HOSPITAL_API_MAX_CONNECTIONS="4")
    await system.inject(latency_ms=50)
    await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job)
    await until("the job has begun", lambda: has_created(system, ROWS // 10), 60)
    broker.kill()
    await system.start_processor()
    await all_stay_well(system.processors, AWAY_SECONDS)
    await broker.start_async()
    audit = await finish_and_audit(system, job, seconds=180)
    assert audit.kinds == {"RowCreated": ROWS}
    kept(f"Kafka away for {AWAY_SECONDS} s: all alive, then {audit.summary()}")


async def all_stay_well(processors: list[Processor], seconds: float) -> None:
    """Asks for their health all the time; each has to be alive each time."""
    await until("all answer", lambda: all(each.logged("listening") for each in processors), 20)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        answers = [await each.health() for each in processors]
        assert all(answer == {"status": "alive"} for answer in answers), answers
        await asyncio.sleep(1)


async def has_created(system: ProcessorSystem, count: int) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count
