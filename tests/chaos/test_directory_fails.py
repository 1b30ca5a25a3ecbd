"""A directory that loses answers, is late, breaks, is away, or cannot take single rows."""

import asyncio
import random
import time
from itertools import pairwise

import aiohttp

from shared.contract.events import RowErrorCode, RowFailed
from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.support.audit import finish_and_audit
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_process import Processor, wall_time
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

FLAKY_ROWS = sized(200, 3000)
OUTAGE_SECONDS = sized(3, 60)
OUTAGE_ROWS = sized(300, 5000)
RECOVERY_SECONDS = sized(1, 10)
DOOMED, GOOD = 5, 100


async def test_lost_answers_late_creations_and_500s(system: ProcessorSystem, chance: random.Random, kept: Kept):
    """20 % created but not answered, 5 % created late, 10 % answered 500, half of them created: each row once."""
    await system.inject(
        latency_ms=20,
        lose_answer=0.2,
        late=0.05,
        late_ms=sized(800, 1500),
        error_before=0.05,
        error_after=0.05,
        seed=chance.randrange(1_000_000),
    )
    # Enough attempts that none of the rows runs out of them: what is lost here would be our fault.
    await system.start_processors(2, RETRY_MAX_ATTEMPTS="20")
    job = make_job(FLAKY_ROWS)
    await system.publish(job)
    audit = await finish_and_audit(system, job, seconds=sized(60, 400))
    assert audit.kinds == {"RowCreated": FLAKY_ROWS}
    found = sum(result.found for result in audit.results)
    assert found > FLAKY_ROWS * 0.15, "the directory has not lost what it should have"
    kept(
        f"20 % of answers lost, 5 % created late, 10 % 500: {audit.summary()}, {found} found by {audit.look_ups} looks"
    )


async def test_an_outage_costs_no_row(system: ProcessorSystem, kept: Kept):
    """503 in mid-job: nothing fails, a probe per recovery interval and processor, and it goes on by itself."""
    processors = await start_processors_with_known_recovery(system)
    job = await publish_and_begin(system)
    await system.inject(outage="unavailable")
    await asyncio.sleep(OUTAGE_SECONDS)
    await system.inject(outage="none")
    audit = await finish_and_audit(system, job, seconds=sized(60, 400))
    assert audit.kinds == {"RowCreated": OUTAGE_ROWS}
    probes = count_probes(processors)
    # Calls that were under way when the last breaker opened have arrived before it is half-open.
    opened = max(at for each in processors for at in breaker_openings(each)[:1]) + RECOVERY_SECONDS / 2
    creations = [request for request in await system.log("requests") if request["method"] == "POST"]
    refused = [request for request in creations if request["status"] == "503"]
    later = [request for request in refused if request["wall"] > opened]
    assert len(later) <= sum(probes), f"{len(later)} calls while the breakers were open, {probes} probes"
    kept(f"503 for {OUTAGE_SECONDS} s: {audit.summary()}, {probes} probes, none sooner than {RECOVERY_SECONDS} s")


async def test_a_directory_that_refuses_connections_costs_no_row(system: ProcessorSystem, kept: Kept):
    """Nobody listens in mid-job: nothing fails, few probes are made, and it goes on by itself."""
    processors = await start_processors_with_known_recovery(system)
    job = await publish_and_begin(system)
    await refuse(system, OUTAGE_SECONDS)
    audit = await finish_and_audit(system, job, seconds=sized(60, 400))
    assert audit.kinds == {"RowCreated": OUTAGE_ROWS}
    probes = count_probes(processors)
    kept(f"no connections for {OUTAGE_SECONDS} s: {audit.summary()}, {probes} probes, none within {RECOVERY_SECONDS} s")


async def test_rows_that_always_get_500_do_not_hold_up_the_good_ones(system: ProcessorSystem, kept: Kept):
    """Five such rows in front of 100 good ones, breaker threshold 5: the good ones soon, the five with a reason."""
    await system.inject(latency_ms=20, name_rules=[{"contains": "Doomed", "status": 500}])
    await system.start_processors(1, HOSPITAL_API_MAX_CONNECTIONS="1")
    job = make_job(DOOMED + GOOD, names=[f"Doomed {index}" for index in range(DOOMED)])
    began = time.monotonic()
    await system.publish(job)
    await until("all good ones are created", lambda: has_created(system, GOOD), 60)
    good_after = time.monotonic() - began
    audit = await finish_and_audit(system, job, seconds=90)
    failed = [result for result in audit.results if isinstance(result, RowFailed)]
    assert {result.name for result in failed} == {f"Doomed {index}" for index in range(DOOMED)}
    assert all(result.code is RowErrorCode.ATTEMPTS_EXHAUSTED and result.http_status == 500 for result in failed)
    assert all("Doomed" in result.message and result.attempts == 3 for result in failed)
    kept(f"{DOOMED} rows always 500 before {GOOD} good ones: good ones after {good_after:.1f} s; {audit.summary()}")


# ---- how these tests look at things ----------------------------------------------------------------------------------


async def start_processors_with_known_recovery(system: ProcessorSystem) -> list[Processor]:
    """Two with a recovery interval that the test knows."""
    await system.inject(latency_ms=50)
    return await system.start_processors(
        2, CIRCUIT_BREAKER_RECOVERY_TIMEOUT=str(RECOVERY_SECONDS), HOSPITAL_API_MAX_CONNECTIONS="8"
    )


async def publish_and_begin(system: ProcessorSystem) -> Job:
    """A job that is in the middle of its rows when this returns."""
    job = make_job(OUTAGE_ROWS)
    await system.publish(job)
    await until("the job has begun", lambda: has_created(system, OUTAGE_ROWS // 20), 20)
    return job


async def has_created(system: ProcessorSystem, count: int) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count


async def refuse(system: ProcessorSystem, seconds: float) -> None:
    """Closes the directory's port for so long."""
    closing = f"{system.directory_url}/admin/refuse"
    async with aiohttp.ClientSession() as session, session.post(closing, json={"seconds": seconds}) as answer:
        answer.raise_for_status()
    await asyncio.sleep(seconds + 0.5)


def breaker_openings(processor: Processor) -> list[float]:
    """When its breaker of creations opened, in seconds of the wall clock: first, and once more per failed probe."""
    changes = [line for line in processor.logged("breaker_changed") if line["circuit"] == "create"]
    return [wall_time(line) for line in changes if line["state"] == "open"]


def count_probes(processors: list[Processor]) -> list[int]:
    """How many probes of each failed; asserts that some did, and of each at most one per recovery interval."""
    times = [breaker_openings(each) for each in processors]
    probes = [len(each[1:]) for each in times]
    assert 0 < max(probes) <= OUTAGE_SECONDS // RECOVERY_SECONDS + 1, f"probes: {probes}"
    gaps = [later - earlier for each in times for earlier, later in pairwise(each)]
    # A log line may be written a moment after what it tells.
    assert min(gaps) >= 0.8 * RECOVERY_SECONDS, f"a probe after only {min(gaps):.2f} s"
    return probes
