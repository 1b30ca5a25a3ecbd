"""Kafka is there for some and not for others, or comes and goes: nobody's lane is taken, and no process ends."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.broker.kafka import Broker
from services.processor.settings import ProcessorSettings
from shared.runtime.kafka.partitions import partition_of
from shared.runtime.kafka.topic_admin import create_missing_topics
from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, only_in_full, sized
from tests.support.audit import finish_and_audit
from tests.support.processor.frozen_producers import assert_nothing_is_left
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

CUT_OFF_SECONDS = sized(35, 120)
#: By then the lane has another owner: a session time-out, a takeover, and a lease.
SETTLED_SECONDS = sized(20, 40)
FREEZES = sized(1, 3)
FROZEN_SECONDS = 11
ROWS = sized(300, 1500)


async def test_one_processor_loses_only_the_coordinator_of_its_group(
    make_system: Callable[..., ProcessorSystem], tmp_path: Path, kept: Kept
):
    """Its lane gets another owner, whom it never fences: it did so every 11 s, and nothing of that lane was sent."""
    system = await make_system(**FASTER_SETTINGS, KAFKA_TOPIC_PARTITIONS="2", RATE_LIMIT_REQUESTS="20")
    flag = tmp_path / "cut off"
    module = "tests.support.processor.cut_off_processor"
    cut_off = await system.start_processor(module=module, CUT_OFF_FILE=str(flag))
    other = await system.start_processor()
    await system.settled(60)
    [lane] = cut_off.lanes()
    job = make_job(4000)
    lane_of = {row.name: partition_of(row.key.encode(), 2) for row in job.rows}
    await system.publish(job, express=False)
    await until("it has begun", lambda: has_created(system, 20), 60)
    flag.touch()
    cut = time.time()
    await asyncio.sleep(CUT_OFF_SECONDS)
    creates = [entry for entry in await system.log("creates") if lane_of[entry["name"]] == lane]
    late = [entry for entry in creates if entry["wall"] - cut > SETTLED_SECONDS]
    fenced = len(other.logged("lane_fenced"))
    assert fenced <= 1
    assert len(late) > 3 * (CUT_OFF_SECONDS - SETTLED_SECONDS), "its share is 10 a second"
    assert cut_off.alive
    assert (await system.admin("stats"))["doubles_total"] == 0
    rows = f"{len(late)} rows by the new owner, which was fenced {fenced} times"
    kept(f"coordinator away for one of two for {CUT_OFF_SECONDS} s: {rows}")


async def test_a_broker_that_is_killed_back_and_frozen_again_and_again_ends_no_process(
    own_broker: Callable[[], Broker], make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """With the empty metadata of a broker that has just come back aiokafka only asserts."""
    broker = own_broker()
    system = await make_system(broker.bootstrap, **FASTER_SETTINGS, HOSPITAL_API_MAX_CONNECTIONS="2")
    await system.inject(latency_ms=50)
    await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job, express=False)
    for number in range(1, FREEZES + 1):
        share = number / (FREEZES + 1) * ROWS
        await until("the job has got further", lambda share=share: has_created(system, share), 120)
        await asyncio.to_thread(broker.kill)
        await broker.start_async()
        await asyncio.sleep(0.3)
        broker.pause()
        await asyncio.sleep(FROZEN_SECONDS)
        broker.resume()
    await system.wait_for_results(ROWS, 120)
    assert all(each.alive for each in system.processors)
    audit = await finish_and_audit(system, job, seconds=1)
    assert audit.kinds == {"RowCreated": ROWS}
    kept(f"broker killed, back and frozen, {FREEZES} times: {audit.summary()}, both processors alive")


@only_in_full
@pytest.mark.timeout(2400)
async def test_a_hundred_freezes_leave_nothing(own_broker: Callable[[], Broker], topic_prefix: str, kept: Kept):
    """Tasks and sockets of producers whose commits were given up."""
    broker = own_broker()
    settings = ProcessorSettings(
        kafka_bootstrap_servers=broker.bootstrap,
        kafka_topic_prefix=topic_prefix,
        kafka_topic_partitions=3,
        kafka_replication_factor=1,
    )
    await create_missing_topics(settings)
    await assert_nothing_is_left(settings, broker, 100)
    kept("100 freezes of three lanes' commits: no task and no socket left")


async def has_created(system: ProcessorSystem, count: float) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count
