"""Processors that are stopped and started in order, under load: how long a lane pauses, and how long a stop takes."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from deploy.local.broker.kafka import Broker
from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full, sized
from tests.support.audit import cancel, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

PROCESSORS = 3
#: Which of them is stopped and started, one after the other.
RESTARTED = sized([0], [*range(PROCESSORS)] * 10)
ROWS = sized(3000, 40_000)
#: Milliseconds that most calls take, and that every fiftieth takes in turn.
LATENCY_MS = 300
SLOW_MS = sized((12_000,), (5_000, 6_000, 7_000, 8_000))
SLOW_EVERY = 50
#: What deploy/kubernetes and docker-compose.yml give a processor to stop.
GRACE_SECONDS = 60
#: At full size of nineteen in twenty. Else of all six lanes, on a machine that is busy with other tests: less than a
#: slow call, so nobody has waited for one.
PAUSE_SECONDS = sized(9.0, 3.0)


@dataclass(frozen=True)
class Restart:
    """One processor's stop and start; seconds of the wall clock."""

    began: float
    stopped: float
    ended: float


async def test_a_rolling_restart_hardly_stops_a_lane(system: ProcessorSystem, kept: Kept):
    """Calls that take long keep neither the lanes that stay waiting, nor those that get another owner."""
    system.environment |= {
        "HOSPITAL_API_MAX_CONNECTIONS": "8",
        "HOSPITAL_API_TIMEOUT": sized("15", "10"),
        "SESSION_TIMEOUT_MS": "10000",
        "LEASE_SECONDS": "10",
    }
    rules = [{"contains": f"takes {slow} ms", "latency_ms": slow - LATENCY_MS} for slow in SLOW_MS]
    await system.inject(latency_ms=LATENCY_MS, name_rules=rules)
    members = await system.start_processors(PROCESSORS)
    job = make_job(ROWS, names=[name_of(index) for index in range(ROWS)])
    await system.publish(job, express=False)
    await until("every lane is at work", lambda: all_go_on(system, time.time() - 1), 60)
    restarts = []
    for index in RESTARTED:
        began = time.time()
        await members[index].stop(GRACE_SECONDS)
        stopped = time.time()
        [members[index]] = await system.start_processors(1)
        restarts.append(Restart(began, stopped, time.time()))
    await until("every lane goes on after the last restart", lambda: all_go_on(system, restarts[-1].ended), 60)
    await cancel(system, job)  # what is left would only take time
    audit = await finish_and_audit(system, job, seconds=60)
    assert audit.kinds["RowCreated"] < ROWS, "the job was over before the last restart"
    pauses = longest_pauses(await calls_by_lane(system), restarts)
    assert len(pauses) == len(restarts) * system.settings.kafka_topic_partitions
    stops = [each.stopped - each.began for each in restarts]
    summary = (
        f"{len(restarts)} stops and starts: pause of a lane p50 {median(pauses):.1f} s, p95 {p95(pauses):.1f} s, "
        f"max {max(pauses):.1f} s; a stop took {median(stops):.1f} s, at most {max(stops):.1f} s; {audit.summary()}, "
        f"{audit.look_ups} look-ups"
    )
    assert p95(pauses) < PAUSE_SECONDS, f"{summary}: {[round(each, 1) for each in pauses]}"
    kept(summary)


async def test_processors_that_stop_and_start_at_once_disturb_no_row(system: ProcessorSystem, kept: Kept):
    """Two stop in the middle of a rebalance, each told twice to, and another comes: whoever is left does the work."""
    await system.inject(latency_ms=50)
    system.environment |= {"HOSPITAL_API_MAX_CONNECTIONS": "4", "HOSPITAL_API_TIMEOUT": "5"}
    members = await system.start_processors(PROCESSORS)
    job = make_job(1500)
    await system.publish(job, express=False)
    await until("every lane is at work", lambda: all_go_on(system, time.time() - 1), 60)
    await system.start_processor()
    leaving = [asyncio.create_task(each.stop(GRACE_SECONDS)) for each in members[:2] for _ in range(2)]
    await asyncio.gather(*leaving)
    audit = await finish_and_audit(system, job, seconds=120)
    assert audit.kinds == {"RowCreated": len(job.rows)}
    kept(f"two stop at once, one comes: {audit.summary()}, {audit.look_ups} look-ups")


@only_in_full
async def test_who_stops_while_kafka_is_away_ends_within_its_time(
    own_broker: Callable[[], Broker], make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """Nobody answers its last commit, nor takes its lanes. It is told twice, and whoever comes next looks rows up."""
    broker = own_broker()
    system = await make_system(broker.bootstrap, HOSPITAL_API_TIMEOUT="10", SESSION_TIMEOUT_MS="10000")
    await system.inject(latency_ms=LATENCY_MS)
    await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job)
    await until("calls are under way", lambda: has_created(system), 60)
    broker.pause()
    began = time.monotonic()
    await asyncio.gather(*(each.stop(GRACE_SECONDS) for each in system.processors for _ in range(2)))
    took = time.monotonic() - began
    broker.resume()
    await system.start_processors(1)
    await cancel(system, job)  # what is left would only take time
    audit = await finish_and_audit(system, job, seconds=120)
    kept(f"two stop while Kafka is away: they end after {took:.0f} s; {audit.summary()}, {audit.look_ups} look-ups")


async def has_created(system: ProcessorSystem) -> bool:
    """Whether there are hospitals."""
    return (await system.admin("stats"))["creates"] > 0


async def all_go_on(system: ProcessorSystem, since: float) -> bool:
    """Whether a hospital of every lane has been asked for since that moment."""
    calls = await calls_by_lane(system)
    return len(calls) == system.settings.kafka_topic_partitions and all(each[-1] > since for each in calls.values())


def name_of(index: int) -> str:
    """A hospital's name; it says how long the directory takes when that is long."""
    if index % SLOW_EVERY:
        return f"Hospital {index}"
    return f"Hospital {index} takes {SLOW_MS[index // SLOW_EVERY % len(SLOW_MS)]} ms"


async def calls_by_lane(system: ProcessorSystem) -> dict[int, list[float]]:
    """When the directory got each call that created a hospital, by lane, in order."""
    rows = await (await system.reader(system.topics.rows_bulk)).read()
    lanes = {record.key.decode(): record.partition for record in rows}
    calls: dict[int, list[float]] = defaultdict(list)
    for create in await system.log("creates"):
        _, takes, milliseconds = create["name"].partition(" takes ")
        latency = float(milliseconds.split()[0]) if takes else LATENCY_MS
        lane = lanes[create["idempotency_key"].rpartition(":")[0]]
        calls[lane].append(create["wall"] - latency / 1000)
    return {lane: sorted(each) for lane, each in calls.items()}


def longest_pauses(calls: dict[int, list[float]], restarts: list[Restart]) -> list[float]:
    """By restart and lane: the longest time in seconds between two calls, of which some was during the restart."""
    return [
        max(later - earlier for earlier, later in pairwise(each) if restart.began < later and earlier < restart.ended)
        for each in calls.values()
        for restart in restarts
    ]


def p95(values: list[float]) -> float:
    """Nineteen of twenty are at most as much."""
    return sorted(values)[int(len(values) * 0.95)]
