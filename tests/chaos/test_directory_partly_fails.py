"""A directory of which a part fails, its look-ups or a single batch: what is well goes on."""

import time
from collections.abc import Callable

from shared.contract.events import BatchActivationFailed, JobCancelRequested
from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, sized
from tests.support.audit import activated, all_created, finish_and_audit
from tests.support.processor.jobs import Job, make_job
from tests.support.processor.processor_process import Processor
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.recording_proxy import RecordingProxy
from tests.support.until import until

#: Rows in doubt, each in a batch of its own, and rows that wait behind their look-ups.
DOUBTFUL, HEALTHY = 100, sized(100, 1000)
#: A healthy row whose call takes longer (s), on a busy machine, is in doubt too: it ends when look-ups are answered.
TIMEOUT = "8"
#: One row in each recovery time of the breaker, which is 2 s, would take 200.
HEALTHY_SECONDS = 60
SICK_ROWS, HEALTHY_JOBS = sized(10, 200), 5
#: Other events between the sick job and the healthy ones: more than are read at once.
EVENTS_BETWEEN = 1200


async def test_rows_do_not_wait_behind_100_batches_whose_look_ups_fail(system: ProcessorSystem, kept: Kept):
    """The rows in doubt were sent and not answered, and their processor was killed."""
    doubtful, healthy = make_job(DOUBTFUL, batch_rows=1), make_job(HEALTHY)
    system.environment["HOSPITAL_API_TIMEOUT"] = TIMEOUT
    await system.inject(latency_ms=20, lose_answer=1, lookup_errors=1)
    [first] = await system.start_processors(1, CIRCUIT_BREAKER_FAILURE_THRESHOLD="10000")
    await system.publish(doubtful)
    await until("all of them are in doubt", lambda: len(rows_in_doubt(first)) == DOUBTFUL, 60)
    await first.die()
    failed_before = await look_ups(system, "500")
    await system.inject(lose_answer=0)
    await system.start_processors(1)
    await until("look-ups have failed", lambda: failed_look_ups(system, failed_before + 5), 60)
    began = time.monotonic()
    await system.publish(healthy)
    await until("all healthy rows have results", lambda: has_results(system, healthy), HEALTHY_SECONDS)
    seconds = time.monotonic() - began
    failed = await look_ups(system, "500") - failed_before
    assert len(await system.results()) == HEALTHY, "a look-up that failed has told something"
    await system.inject(lookup_errors=0)
    audit = await finish_and_audit(system, doubtful, healthy, seconds=60)
    assert audit.kinds == {"RowCreated": DOUBTFUL + HEALTHY}
    kept(
        f"look-ups of {DOUBTFUL} batches fail ({failed}): {HEALTHY} healthy rows in {seconds:.1f} s; {audit.summary()}"
    )


async def test_a_sick_batch_keeps_no_healthy_job_behind_it_inactive(
    make_system: Callable[..., ProcessorSystem], kept: Kept
):
    """A gateway answers 504 to the activation of one batch, which fails in the end; five jobs behind it are active."""
    system = await make_system(**FASTER_SETTINGS, KAFKA_TOPIC_PARTITIONS="1")
    sick, *healthy = jobs = [make_job(SICK_ROWS) for _ in range(1 + HEALTHY_JOBS)]
    async with RecordingProxy(system.directory_url, gateway_timeout_for=f"{sick.batch_ids[0]}/activate") as gateway:
        await system.start_processors(1, HOSPITAL_API_BASE_URL=gateway.url)
        for job in jobs:
            await system.publish(job)
        await system.wait_for_results(len(jobs) * SICK_ROWS, 60)
        between = [JobCancelRequested(tenant="public", job_id=f"other {number}") for number in range(EVENTS_BETWEEN)]
        finished = [all_created(sick), *between, *map(all_created, healthy)]
        began = time.monotonic()
        await system.write([(system.topics.jobs, event) for event in finished])
        for job in healthy:
            await until("a healthy job is active", lambda job=job: activated(system, job), 60)
        seconds = time.monotonic() - began
        await until("the sick batch has failed", lambda: has_failed(system, sick), 60)
        audit = await finish_and_audit(system, *jobs, seconds=1)
    assert audit.kinds == {"RowCreated": len(jobs) * SICK_ROWS}
    tries = sum("/activate" in each.line and sick.batch_ids[0] in each.line for each in gateway.requests)
    kept(f"a batch that gets 504 {tries} times before {HEALTHY_JOBS} jobs: active after {seconds:.1f} s, it failed")


# ---- how these tests look at things ----------------------------------------------------------------------------------


def rows_in_doubt(processor: Processor) -> set[int]:
    """The rows of which a processor has said that they are in doubt."""
    return {line["row"] for line in processor.logged("row_in_doubt")}


async def look_ups(system: ProcessorSystem, status: str) -> int:
    """How many look-ups got this answer."""
    counts = (await system.admin("stats"))["requests"]
    return sum(each["count"] for each in counts if each["method"] == "GET" and str(each["status"]) == status)


async def failed_look_ups(system: ProcessorSystem, count: int) -> bool:
    """Whether so many look-ups have failed."""
    return await look_ups(system, "500") >= count


async def has_results(system: ProcessorSystem, job: Job) -> bool:
    """Whether every row of a job has a result."""
    return sum(result.job_id == job.job_id for result in await system.results()) == len(job.rows)


async def has_failed(system: ProcessorSystem, job: Job) -> bool:
    """Whether the activation of the job's batch has failed, in the gateway's words."""
    events = await system.events(system.topics.jobs)
    failed = [event for event in events if isinstance(event, BatchActivationFailed)]
    assert all("504" in event.message for event in failed), failed
    return [event.batch_id for event in failed] == job.batch_ids
