"""Processors that join and leave, in order, all the time."""

import asyncio
import random
import time
from collections import defaultdict
from itertools import pairwise

from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full
from tests.support.audit import cancel, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem

CHURN_SECONDS = 60
ROWS = 6000
#: A rebalance waits for heartbeats (1.5 s apart) and calls in flight, and the next one may follow at once.
STALL_SECONDS = 10
STAYING_ROWS = 4000


async def test_lanes_that_stay_repeat_nothing_and_lanes_that_move_need_no_look_up(system: ProcessorSystem, kept: Kept):
    """One joins and leaves in order in mid-job: a call for each row and none more, nothing in doubt."""
    await system.inject(latency_ms=50)
    system.environment |= {"HOSPITAL_API_MAX_CONNECTIONS": "4", "HOSPITAL_API_TIMEOUT": "5"}
    await system.start_processors(1)
    job = make_job(STAYING_ROWS)
    await system.publish(job, express=False)
    (guest,) = await system.start_processors(1)
    await asyncio.sleep(1)
    await guest.stop()
    await system.settled()
    await cancel(system, job)  # what is left would only take time
    audit = await finish_and_audit(system, job, seconds=60)
    created = audit.kinds["RowCreated"]
    assert created < STAYING_ROWS, "the job was over before the guest had left"
    assert audit.stats["requests_total"] == created, "calls were repeated, or rows looked up"
    assert all(line["clean"] for each in system.processors for line in each.logged("lane_taken_over"))
    kept(f"one joins and leaves: {audit.summary()}, {audit.stats['requests_total']} calls")


@only_in_full
async def test_join_and_leave_every_2_seconds_for_a_minute(system: ProcessorSystem, chance: random.Random, kept: Kept):
    """No lane stalls, calls of lanes that stay are not repeated, every hospital is created once."""
    system.environment |= {
        "RATE_LIMIT_REQUESTS": str(ROWS // (CHURN_SECONDS + 15)),
        "HOSPITAL_API_MAX_CONNECTIONS": "8",
    }
    await system.inject(latency_ms=50)
    members = await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job, express=False)
    ends = time.monotonic() + CHURN_SECONDS
    leaving: list[asyncio.Task[None]] = []
    while time.monotonic() < ends:
        # One that is still starting knows no way to stop in order, and somebody has to be there.
        settled_in = [each for each in members if each.logged("lanes_assigned")]
        if len(members) < 3:
            members.append(await system.start_processor())
        elif len(settled_in) > 1:
            members.remove(leaver := chance.choice(settled_in))
            leaving.append(asyncio.create_task(leaver.stop()))
        await asyncio.sleep(2)
    await asyncio.gather(*leaving)
    churned = time.time()
    audit = await finish_and_audit(system, job, seconds=400)
    assert audit.kinds == {"RowCreated": ROWS}
    gaps = await longest_gaps(system, before=churned)
    assert len(gaps) == system.settings.kafka_topic_partitions
    assert max(gaps.values()) < STALL_SECONDS, f"seconds without a creation, by lane: {gaps}"
    posts = sum(entry["count"] for entry in audit.stats["requests"] if entry["method"] == "POST")
    assert posts == ROWS, f"{posts - ROWS} calls were repeated"
    kept(f"join and leave every 2 s for {CHURN_SECONDS} s: {audit.summary()}, longest stall {max(gaps.values()):.1f} s")


async def longest_gaps(system: ProcessorSystem, before: float) -> dict[int, float]:
    """By lane: the longest time in seconds between two creations, up to a moment of the wall clock."""
    rows = await (await system.reader(system.topics.rows_bulk)).read()
    lanes = {record.key.decode(): record.partition for record in rows}
    creates = await system.log("creates")
    times: dict[int, list[float]] = defaultdict(list)
    for create in creates:
        if create["wall"] < before:
            times[lanes[create["idempotency_key"].rpartition(":")[0]]].append(create["wall"])
    return {lane: max(later - earlier for earlier, later in pairwise(each)) for lane, each in times.items()}
