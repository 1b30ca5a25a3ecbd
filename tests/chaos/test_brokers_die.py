"""Brokers that die in the middle of a job."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local.broker.kafka import Broker
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import Kept
from tests.chaos.size import HASTE, only_in_full, sized
from tests.support.account import activate, settle
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import Rig
from tests.support.until import until

ROWS = sized(400, 3000)


async def test_the_broker_is_killed_and_comes_back_twice(
    own_broker: Callable[[], Broker], make_rig: Callable[..., Rig], kept: Kept
):
    """kill -9 and a new start, twice in mid-job: no service is restarted, every hospital is created once."""
    broker = own_broker()
    rig = await make_rig(broker.bootstrap, **HASTE, HOSPITAL_API_MAX_CONNECTIONS="4")
    await rig.inject(latency_ms=50)
    await rig.start_processors(2)
    job = make_job(ROWS)
    await rig.publish(job, express=False)
    for share in (1 / 6, 1 / 2):
        await until("the job has got further", lambda share=share: has_created(rig, share * ROWS), 60)
        broker.kill()
        await broker.start_async()
    await rig.wait_for_results(ROWS, 120)
    await activate(rig, job, seconds=60)
    account = await settle(rig, job, seconds=1)
    assert account.kinds == {"RowCreated": ROWS}
    kept(f"broker kill -9 and restart, twice: {account.says()}, {account.look_ups} look-ups, activated")


@pytest.fixture
async def three_brokers(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster that may lose one."""
    async with Cluster(tmp_path / "cluster", 3) as cluster:
        yield cluster


@only_in_full
async def test_one_broker_of_three_is_lost(three_brokers: Cluster, make_rig: Callable[..., Rig], kept: Kept):
    """The leader of some partitions and coordinator of some lanes goes for good: everything completes on two."""
    rig = await make_rig(three_brokers.bootstrap, KAFKA_REPLICATION_FACTOR="3", HOSPITAL_API_MAX_CONNECTIONS="4")
    await rig.inject(latency_ms=50)
    await rig.start_processors(2)
    job = make_job(ROWS)
    await rig.publish(job, express=False)
    await until("the job has begun", lambda: has_created(rig, ROWS / 6), 60)
    three_brokers.kill(1)
    await rig.wait_for_results(ROWS, 300)
    await activate(rig, job, seconds=60)
    account = await settle(rig, job, seconds=1)
    assert account.kinds == {"RowCreated": ROWS}
    kept(f"one broker of three lost: {account.says()}, {account.look_ups} look-ups, activated")


async def has_created(rig: Rig, count: float) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await rig.admin("stats"))["creates"] >= count
