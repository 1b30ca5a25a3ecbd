"""The pace: never above the limit, hardly below it, whoever joins and leaves."""

import asyncio
import time
from bisect import bisect_left

from tests.chaos.conftest import Kept
from tests.chaos.size import FULL, sized
from tests.support.account import cancel, settle
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import Rig
from tests.support.topic_tap import Tap

#: Requests per period, in seconds. What a directory without CPU for a moment sees at once has to fit into the 5 % that
#: the slots leave free: `make chaos` runs alone, the short round does not.
LIMIT, PERIOD = sized((100, 4), (50, 1))
STEADY_SECONDS = sized(2, 20)
ROWS = sized(800, 5000)
#: Seconds of silence that the directory asks for, and until a processor that shares its core has heard of it.
SILENCE, HEARD = sized((2, 0.5), (1, 0.05))
#: A hand-over's first commits, before what follows counts as outside the rebalance.
SETTLING_SECONDS = 0.5


async def test_three_processors_together_keep_the_pace(rig: Rig, kept: Kept):
    """One joins, one leaves: never more than the limit in any period, at least 90 % of it outside the rebalances."""
    rig.environment |= {"RATE_LIMIT_REQUESTS": str(LIMIT), "RATE_LIMIT_PERIOD": str(PERIOD)}
    first, *_ = await rig.start_processors(2)
    job = make_job(ROWS)
    await rig.publish(job, express=False)
    spans = [await steady(rig)]
    await rig.start_processors(1)
    spans.append(await steady(rig))
    await first.stop()
    await rig.settled()
    spans.append(await steady(rig))
    await cancel(rig, job)
    account = await settle(rig, job, seconds=30)
    busiest = (await rig.admin(f"stats?window={PERIOD}"))["busiest_window"]["requests"]
    used = [share for span in spans for share in [await share_used(rig, *span)]]
    assert busiest <= LIMIT, f"{busiest} requests in {PERIOD} s"
    assert "RowUnprocessed" in account.kinds, "the work ran out before the last span"
    # What is used depends on who else uses this machine's cores; that the limit holds does not.
    assert min(used) >= (0.9 if FULL else 0.25), f"shares of the limit used: {used}"
    shares = ", ".join(f"{share:.0%}" for share in used)
    kept(f"{LIMIT} in {PERIOD} s, one joins, one leaves: at most {busiest}, {shares} used; {account.says()}")


async def test_retry_after_binds_the_processor_that_got_it(rig: Rig, kept: Kept):
    """A directory that allows less than we thought says so with 429: silence for as long as it asks, no row fails."""
    await rig.inject(rate_limit={"requests": 20, "period_seconds": SILENCE})
    async with Tap(rig.directory_url) as tap:
        await rig.start_processors(1, HOSPITAL_API_BASE_URL=tap.url, RATE_LIMIT_REQUESTS="50")
        job = make_job(70)
        await rig.publish(job)
        account = await settle(rig, job, seconds=40)
    assert account.kinds == {"RowCreated": 70}
    assert all(result.attempts == 1 for result in account.results), "a 429 is no attempt"
    assert tap.silenced, "the directory never had too many"
    # A call that was under way when the answer came cannot be called back.
    broken = [at for told in tap.silenced for at, _ in tap.requests if told + HEARD < at < told + SILENCE - 0.05]
    assert not broken, f"{len(broken)} requests during a silence of {SILENCE} s"
    kept(f"429 with Retry-After, {len(tap.silenced)} times: silent each time; {account.says()}")


async def steady(rig: Rig) -> tuple[float, float]:
    """A span of wall-clock time (s) in which nobody joined or left."""
    await asyncio.sleep(SETTLING_SECONDS)
    began = time.time()
    await asyncio.sleep(STEADY_SECONDS)
    return began, time.time()


async def share_used(rig: Rig, began: float, ended: float) -> float:
    """Which share of the limit was used between two moments."""
    arrived = sorted(request["wall"] for request in await rig.log("requests"))
    return (bisect_left(arrived, ended) - bisect_left(arrived, began)) / (LIMIT / PERIOD * (ended - began))
