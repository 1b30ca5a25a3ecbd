"""The rate limit: never above the limit, hardly below it, whoever joins, leaves, freezes and dies."""

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import Callable

from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, FULL, sized
from tests.support.audit import cancel, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.recording_proxy import RecordingProxy
from tests.support.until import until

#: Requests per period, in seconds. What a directory without CPU for a moment sees at once has to fit into the 5 % that
#: the slots leave free: `make chaos` runs alone, the short round does not.
LIMIT, PERIOD = sized((100, 4), (50, 1))
STEADY_SECONDS = sized(2, 20)
ROWS = sized(800, 5000)
#: Seconds of silence that the directory asks for, and until a processor that shares its core has heard of it.
SILENCE, HEARD = sized((2, 0.5), (1, 0.05))
#: A directory that allows 30 a minute: from one call to the next, and until a row is in Kafka and has been read.
SLOT_SECONDS, ON_THE_WAY_SECONDS = 2.1, sized(2.5, 1.5)
LONE_ROWS = sized(4, 20)
#: Until all know that the one before has no work any more.
ALONE_SECONDS = 1.5
#: Longer than slots are given away for, and than Kafka waits for a processor.
FROZEN_SECONDS = (0.3, 8)
TROUBLES = sized(4, 30)
#: After so long nothing is given to a dead processor any more.
FORGOTTEN_SECONDS = 17
#: A hand-over's first commits, before what follows counts as outside the rebalance.
SETTLING_SECONDS = 0.5


async def test_three_processors_together_keep_the_rate_limit(system: ProcessorSystem, kept: Kept):
    """One joins, one leaves: never more than the limit in any period, at least 90 % of it outside the rebalances."""
    system.environment |= {"RATE_LIMIT_REQUESTS": str(LIMIT), "RATE_LIMIT_PERIOD": str(PERIOD)}
    first, *_ = await system.start_processors(2)
    job = make_job(ROWS)
    await system.publish(job, express=False)
    spans = [await steady(system)]
    await system.start_processors(1)
    spans.append(await steady(system))
    await first.stop()
    await system.settled()
    spans.append(await steady(system))
    await cancel(system, job)
    audit = await finish_and_audit(system, job, seconds=30)
    busiest = (await system.admin(f"stats?window={PERIOD}"))["busiest_window"]["requests"]
    used = [share for span in spans for share in [await share_used(system, *span)]]
    assert busiest <= LIMIT, f"{busiest} requests in {PERIOD} s"
    assert "RowUnprocessed" in audit.kinds, "the work ran out before the last span"
    # What is used depends on who else uses this machine's cores; that the limit holds does not.
    assert min(used) >= (0.9 if FULL else 0.25), f"shares of the limit used: {used}"
    shares = ", ".join(f"{share:.0%}" for share in used)
    kept(f"{LIMIT} in {PERIOD} s, one joins, one leaves: at most {busiest}, {shares} used; {audit.summary()}")


async def test_a_lone_row_begins_at_the_next_slot(make_system: Callable[..., ProcessorSystem], kept: Kept):
    """At 30 a minute it waited for the next slot of its lane's owner: 2.1 s for each lane that others owned."""
    limit = {"RATE_LIMIT_REQUESTS": "30", "RATE_LIMIT_PERIOD": "60"}
    system = await make_system(**FASTER_SETTINGS, **limit, KAFKA_TOPIC_PARTITIONS="12")
    await system.start_processors(4)
    waits = []
    for number in range(LONE_ROWS):
        await system.publish(make_job(1))
        published = time.time()
        await system.wait_for_results(number + 1, 120)
        waits.append((await system.log("creates"))[-1]["wall"] - published)
        await asyncio.sleep(ALONE_SECONDS)
    assert max(waits) < SLOT_SECONDS + ON_THE_WAY_SECONDS, f"seconds until a lone row was sent: {waits}"
    kept(f"30 a minute, 4 processors, 12 lanes: a lone row waited {max(waits):.1f} s at most")


async def test_kills_freezes_and_takeovers_let_no_call_too_many_through(
    system: ProcessorSystem, chance: random.Random, kept: Kept
):
    """Frozen for longer than slots are given away for, killed, replaced; and one whose clock is an hour ahead."""
    system.environment |= {"RATE_LIMIT_REQUESTS": str(LIMIT), "RATE_LIMIT_PERIOD": str(PERIOD)}
    await system.start_processor(module="tests.support.processor.wrong_clock_processor", CLOCK_AHEAD="3600")
    await system.start_processors(2)
    job = make_job(100 * LIMIT)
    await system.publish(job, express=False)
    troubles = []
    for _ in range(TROUBLES):
        # All that had lanes may have been killed.
        await until("somebody has lanes", lambda: bool(alive(system)), 60)
        trouble, victim = chance.choice(["freeze", "kill", "replace"]), chance.choice(alive(system))
        troubles.append(trouble)
        if trouble == "freeze":
            victim.freeze()
            await asyncio.sleep(chance.uniform(*FROZEN_SECONDS))
            victim.thaw()
        else:
            await system.start_processor()
            await (victim.die() if trouble == "kill" else victim.stop(40))
        await asyncio.sleep(chance.uniform(0, 2))
    await system.settled()
    made = (await system.admin("stats"))["requests_total"]
    await until("those that are left go on", lambda: has_made(system, made + LIMIT // 4), 60)
    await cancel(system, job)
    audit = await finish_and_audit(system, job, seconds=60)
    busiest = (await system.admin(f"stats?window={PERIOD}"))["busiest_window"]["requests"]
    assert busiest <= LIMIT, f"{busiest} requests in {PERIOD} s after {troubles}"
    kept(f"{LIMIT} in {PERIOD} s, {', '.join(troubles)}: at most {busiest}; {audit.summary()}")


async def test_the_slots_of_lanes_without_an_owner_are_used(system: ProcessorSystem, kept: Kept):
    """A dead processor's lanes have no owner until Kafka gives them away: the others use the whole limit meanwhile."""
    system.environment |= {"RATE_LIMIT_REQUESTS": str(LIMIT), "RATE_LIMIT_PERIOD": str(PERIOD)}
    first, _ = await system.start_processors(2, SESSION_TIMEOUT_MS="60000")
    job = make_job(100 * LIMIT)
    await system.publish(job, express=False)
    await asyncio.sleep(2)
    first.kill()
    await asyncio.sleep(FORGOTTEN_SECONDS)
    used = await share_used(system, *await steady(system))
    lanes = system.processors[1].lanes()
    busiest = (await system.admin(f"stats?window={PERIOD}"))["busiest_window"]["requests"]
    assert len(lanes) == 3, "Kafka has given them away already"
    # Its lanes alone would have half of it; what is used beyond depends on who else uses this machine's cores.
    assert used > (0.85 if FULL else 0.6), f"share of the limit used with half of the lanes: {used:.0%}"
    assert busiest <= LIMIT, f"{busiest} requests in {PERIOD} s"
    kept(f"half of the lanes without an owner: {used:.0%} of the limit used, at most {busiest} in {PERIOD} s")


async def has_made(system: ProcessorSystem, requests: int) -> bool:
    """Whether the directory has got so many requests."""
    return (await system.admin("stats"))["requests_total"] >= requests


def alive(system: ProcessorSystem) -> list[Processor]:
    """The processors that have been assigned lanes and have not ended."""
    return [each for each in system.processors if each.alive and each.logged("lanes_assigned")]


async def test_retry_after_binds_the_processor_that_got_it(system: ProcessorSystem, kept: Kept):
    """A directory that allows less than we thought says so with 429: silence for as long as it asks, no row fails."""
    await system.inject(rate_limit={"requests": 20, "period_seconds": SILENCE})
    async with RecordingProxy(system.directory_url) as proxy:
        await system.start_processors(1, HOSPITAL_API_BASE_URL=proxy.url, RATE_LIMIT_REQUESTS="50")
        job = make_job(70)
        await system.publish(job)
        audit = await finish_and_audit(system, job, seconds=40)
    assert audit.kinds == {"RowCreated": 70}
    assert all(result.attempts == 1 for result in audit.results), "a 429 is no attempt"
    assert proxy.throttled_at, "the directory never had too many"
    # A call that was under way when the answer came cannot be called back.
    broken = [
        at
        for answered in proxy.throttled_at
        for at, _ in proxy.requests
        if answered + HEARD < at < answered + SILENCE - 0.05
    ]
    assert not broken, f"{len(broken)} requests during a silence of {SILENCE} s"
    kept(f"429 with Retry-After, {len(proxy.throttled_at)} times: silent each time; {audit.summary()}")


async def steady(system: ProcessorSystem) -> tuple[float, float]:
    """A span of wall-clock time (s) in which nobody joined or left."""
    await asyncio.sleep(SETTLING_SECONDS)
    began = time.time()
    await asyncio.sleep(STEADY_SECONDS)
    return began, time.time()


async def share_used(system: ProcessorSystem, began: float, ended: float) -> float:
    """Which share of the limit was used between two moments."""
    arrived = sorted(request["wall"] for request in await system.log("requests"))
    return (bisect_left(arrived, ended) - bisect_left(arrived, began)) / (LIMIT / PERIOD * (ended - began))
