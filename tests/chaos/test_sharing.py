"""Jobs and rows that share the processors: no one waits for somebody else's work."""

import time

from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.support.audit import finish_and_audit
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

SMALL, LARGE = 20, sized(200, 5000)
PACE = 40
MANY = sized(300, 3000)
SLOW_SECONDS = sized(3, 30)
#: A short round is too short for a finer look: one held-up lane costs it SLOW_SECONDS.
AS_SOON = sized(1.4, 1.1)
EVERY = 100


async def test_a_small_job_is_not_held_up_by_a_large_one(system: ProcessorSystem, kept: Kept):
    """20 rows behind 5,000: done within 3 times their time alone."""
    system.environment["RATE_LIMIT_REQUESTS"] = str(PACE)
    await system.inject(latency_ms=50)
    await system.start_processors(1)
    alone = await seconds_for(system, first := make_job(SMALL), express=True)
    large = make_job(LARGE)
    await system.publish(large, express=False)
    await until("the large job has begun", lambda: has_results(system, SMALL + PACE), 20)
    behind = await seconds_for(system, second := make_job(SMALL), express=True)
    assert behind < 3 * max(alone, sized(1.0, 0.0)), f"{behind:.1f} s behind {LARGE} rows, {alone:.1f} s alone"
    audit = await finish_and_audit(system, first, second, large, seconds=2 * LARGE / PACE)
    assert audit.kinds == {"RowCreated": 2 * SMALL + LARGE}
    kept(f"{SMALL} rows behind {LARGE}: {behind:.1f} s, alone {alone:.1f} s; {audit.summary()}")


async def test_slow_rows_hold_up_nobody(system: ProcessorSystem, kept: Kept):
    """One row in 100 takes 30 s: the others are done as soon as without it, within 10 %."""
    system.environment |= {"RATE_LIMIT_REQUESTS": "100", "HOSPITAL_API_TIMEOUT": str(SLOW_SECONDS + 10)}
    await system.inject(latency_ms=50, name_rules=[{"contains": "Slow", "latency_ms": SLOW_SECONDS * 1000}])
    await system.start_processors(1)
    names = [f"Hospital {index}" for index in range(MANY)]
    without = make_job(MANY - MANY // EVERY)
    usual = await seconds_for(system, without, express=True)
    names[EVERY // 2 :: EVERY] = [f"Slow {index}" for index in range(MANY // EVERY)]
    mixed = make_job(MANY, names=names)
    others = await seconds_for(system, mixed, express=True, but="Slow")
    audit = await finish_and_audit(system, without, mixed, seconds=2 * SLOW_SECONDS + 10)
    assert audit.kinds == {"RowCreated": len(without.rows) + MANY}
    # The slow rows take turns of the pace too: theirs are the work that is not the same.
    assert others * (1 - 1 / EVERY) < usual * AS_SOON, f"{others:.1f} s beside slow rows, {usual:.1f} s without"
    kept(
        f"1 row in {EVERY} takes {SLOW_SECONDS} s: the others {others:.1f} s, without {usual:.1f} s; {audit.summary()}"
    )


async def seconds_for(system: ProcessorSystem, job: Job, *, express: bool, but: str = "never") -> float:
    """Publishes a job; how long until its rows have results, but for those whose name contains `but`."""
    wanted = {row.row for row in job.rows if but not in row.name}
    began = time.monotonic()
    await system.publish(job, express=express)

    async def done() -> bool:
        results = await system.results()
        return wanted <= {result.row for result in results if result.job_id == job.job_id}

    await until(f"{len(wanted)} rows have results", done, 300)
    return time.monotonic() - began


async def has_results(system: ProcessorSystem, count: int) -> bool:
    """Whether so many results are visible."""
    return len(await system.results()) >= count
