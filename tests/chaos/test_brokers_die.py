"""Brokers that die in the middle of a job."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local.broker.kafka import Broker
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, only_in_full, sized
from tests.support.audit import activate, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

ROWS = sized(400, 3000)


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


async def has_created(system: ProcessorSystem, count: float) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count
