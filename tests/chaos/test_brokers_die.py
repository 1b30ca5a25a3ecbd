"""Brokers that die, freeze, or are out of reach for one processor, in the middle of a job."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local.broker.kafka import Broker
from services.processor.settings import ProcessorSettings
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.partitions import partition_of
from shared.runtime.kafka.topic_admin import create_missing_topics, read_configuration
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, only_in_full, sized
from tests.support.audit import activate, finish_and_audit
from tests.support.processor.frozen_producers import assert_nothing_is_left
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

ROWS = sized(400, 3000)
CUT_OFF_SECONDS = sized(35, 120)
#: By then the lane has another owner: a session time-out, a takeover, and a lease.
SETTLED_SECONDS = sized(20, 40)
FREEZES = 3
FROZEN_SECONDS = 11
FROZEN_ROWS = 1500


async def test_the_broker_is_killed_and_comes_back_twice(
    own_broker: Callable[[], Broker], make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """kill -9 and a new start, twice in mid-job: no service is restarted, every hospital is created once."""
    broker = own_broker()
    system = await make_system(broker.bootstrap, **FASTER_SETTINGS, HOSPITAL_API_MAX_CONNECTIONS="4")
    await system.inject(latency_ms=50)
    await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job, express=False)
    for share in (1 / 6, 1 / 2):
        await until("the job has got further", lambda share=share: has_created(system, share * ROWS), 60)
        broker.kill()
        await broker.start_async()
    await system.wait_for_results(ROWS, 120)
    await activate(system, job, seconds=60)
    audit = await finish_and_audit(system, job, seconds=1)
    assert audit.kinds == {"RowCreated": ROWS}
    kept(f"broker kill -9 and restart, twice: {audit.summary()}, {audit.look_ups} look-ups, activated")


@pytest.fixture
async def three_brokers(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster that may lose one."""
    async with Cluster(tmp_path / "cluster", 3) as cluster:
        yield cluster


@only_in_full
async def test_one_broker_of_three_is_lost(
    three_brokers: Cluster, make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """The leader of some partitions and coordinator of some lanes goes for good: everything completes on two."""
    system = await make_system(three_brokers.bootstrap, KAFKA_REPLICATION_FACTOR="3", HOSPITAL_API_MAX_CONNECTIONS="4")
    assert await copies_needed(system) == {"2"}, "what one broker alone has counts as written"
    await system.inject(latency_ms=50)
    await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job, express=False)
    await until("the job has begun", lambda: has_created(system, ROWS / 6), 60)
    three_brokers.kill(1)
    await system.wait_for_results(ROWS, 300)
    await activate(system, job, seconds=60)
    audit = await finish_and_audit(system, job, seconds=1)
    assert audit.kinds == {"RowCreated": ROWS}
    kept(f"one broker of three lost: {audit.summary()}, {audit.look_ups} look-ups, activated")


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


@only_in_full  # in make test: tests/kafka/processor/test_frozen_broker.py
async def test_a_broker_that_is_killed_back_and_frozen_again_and_again_ends_no_process(
    own_broker: Callable[[], Broker], make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """With the empty metadata of a broker that has just come back aiokafka only asserts."""
    broker = own_broker()
    system = await make_system(broker.bootstrap, **FASTER_SETTINGS, HOSPITAL_API_MAX_CONNECTIONS="2")
    await system.inject(latency_ms=50)
    await system.start_processors(2)
    job = make_job(FROZEN_ROWS)
    await system.publish(job, express=False)
    for number in range(1, FREEZES + 1):
        share = number / (FREEZES + 1) * FROZEN_ROWS
        await until("the job has got further", lambda share=share: has_created(system, share), 120)
        await asyncio.to_thread(broker.kill)
        await broker.start_async()
        await asyncio.sleep(0.3)
        broker.pause()
        await asyncio.sleep(FROZEN_SECONDS)
        broker.resume()
    await system.wait_for_results(FROZEN_ROWS, 120)
    assert all(each.alive for each in system.processors)
    audit = await finish_and_audit(system, job, seconds=1)
    assert audit.kinds == {"RowCreated": FROZEN_ROWS}
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


async def copies_needed(system: ProcessorSystem) -> set[str]:
    """How many brokers have to have a record before it counts as written, in all topics."""
    admin = kafka_options.admin_client(system.settings)
    await admin.start()
    try:
        found = await read_configuration(admin, [topic.name for topic in system.topics.all()])
    finally:
        await admin.close()
    return {each["min.insync.replicas"] for each in found.values()}


async def has_created(system: ProcessorSystem, count: float) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count
