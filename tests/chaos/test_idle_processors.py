"""Processors that have nothing to do for long, or no Kafka: they are well, and at work as soon as they can be."""

import asyncio
import time
from collections.abc import Callable

from deploy.local.broker.kafka import Broker
from tests.chaos.conftest import Kept
from tests.chaos.size import HASTE, only_in_full, sized
from tests.support.account import settle
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import Rig
from tests.support.until import until

#: At full size longer than Kafka's clients let a member be idle, and than a liveness check waits.
IDLE_SECONDS = sized(1, 330)
AWAY_SECONDS = 400
ROWS = sized(20, 1000)


async def test_a_processor_beyond_the_partitions_waits_and_takes_over(make_rig: Callable[..., Rig], kept: Kept):
    """It is alive all the time, disturbs nobody, and does the work when the other one has gone."""
    rig = await make_rig(**HASTE, KAFKA_TOPIC_PARTITIONS="1")
    both = [await rig.start_processor() for _ in range(2)]

    def one_has_nothing() -> bool:
        return sorted(len(each.lanes()) for each in both) == [0, 1] and all(
            each.told("lanes_assigned") for each in both
        )

    await until("one of them has the lane, the other knows that it has none", one_has_nothing, 40)
    owner, spare = sorted(both, key=lambda each: len(each.lanes()), reverse=True)
    assignments = len(owner.told("lanes_assigned"))
    await all_stay_well(both, IDLE_SECONDS)
    assert len(owner.told("lanes_assigned")) == assignments, "the spare one disturbed the owner"
    await owner.stop()
    job = make_job(ROWS)
    await rig.publish(job)
    account = await settle(rig, job, seconds=60)
    assert account.kinds == {"RowCreated": ROWS}
    assert spare.told("lane_taken_over")
    kept(f"one processor too many for {IDLE_SECONDS} s: alive, then took over; {account.says()}")


@only_in_full
async def test_nobody_is_stuck_while_kafka_is_away(
    own_broker: Callable[[], Broker], make_rig: Callable[..., Rig], kept: Kept
):
    """A restart would not bring Kafka back: whoever waits for it is alive, also one that starts meanwhile."""
    broker = own_broker()
    rig = await make_rig(broker.bootstrap, HOSPITAL_API_MAX_CONNECTIONS="4")
    await rig.inject(latency_ms=50)
    await rig.start_processors(2)
    job = make_job(ROWS)
    await rig.publish(job)
    await until("the job has begun", lambda: has_created(rig, ROWS // 10), 60)
    broker.kill()
    await rig.start_processor()
    await all_stay_well(rig.processors, AWAY_SECONDS)
    await broker.start_async()
    account = await settle(rig, job, seconds=180)
    assert account.kinds == {"RowCreated": ROWS}
    kept(f"Kafka away for {AWAY_SECONDS} s: all alive, then {account.says()}")


async def all_stay_well(processors: list[Processor], seconds: float) -> None:
    """Asks for their health all the time; each has to be alive each time."""
    await until("all answer", lambda: all(each.told("listening") for each in processors), 20)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        answers = [await each.health() for each in processors]
        assert all(answer == {"status": "alive"} for answer in answers), answers
        await asyncio.sleep(1)


async def has_created(rig: Rig, count: int) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await rig.admin("stats"))["creates"] >= count
