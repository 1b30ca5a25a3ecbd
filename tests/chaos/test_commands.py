"""Commands in the middle of a job: cancel, pause, resume."""

import asyncio
import time

from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.support.audit import cancel, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.until import until

CANCELLED_ROWS = sized(3000, 20_000)
WINDOW_ROWS = 200
PAUSED_ROWS = 300
PAUSE_SECONDS = sized(2, 30)


async def test_cancel_in_mid_job(system: ProcessorSystem, kept: Kept):
    """Rows that wait become unprocessed at once, those behind the windows at full speed, not at the rate limit."""
    system.environment |= {"RATE_LIMIT_REQUESTS": "50", "WINDOW_ROWS": str(WINDOW_ROWS)}
    await system.start_processors(2)
    job = make_job(CANCELLED_ROWS)
    await system.publish(job, express=False)
    await until("the job has begun", lambda: created(system, 50), 20)
    began = time.monotonic()
    await cancel(system, job)
    await system.wait_for_results(len(job.rows), sized(20, 60))
    seconds = time.monotonic() - began
    audit = await finish_and_audit(system, job, seconds=1)
    rows_created = audit.kinds["RowCreated"]
    assert audit.kinds == {"RowCreated": rows_created, "RowUnprocessed": CANCELLED_ROWS - rows_created}
    at_the_limit = CANCELLED_ROWS / 50
    assert seconds < at_the_limit / 4, f"{seconds:.1f} s; the rate limit alone would take {at_the_limit:.0f} s"
    kept(f"cancel in mid-job: {audit.summary()}, {CANCELLED_ROWS - rows_created} unprocessed in {seconds:.1f} s")


async def test_nothing_is_sent_while_paused(system: ProcessorSystem, kept: Kept):
    """`pause` stops every processor, `resume` lets all go on; a processor that starts meanwhile keeps still too."""
    # Slow enough that the job outlasts the start of the command, whatever the machine.
    await system.inject(latency_ms=200)
    system.environment["HOSPITAL_API_MAX_CONNECTIONS"] = "2"
    processors = await system.start_processors(2)
    job = make_job(PAUSED_ROWS)
    await system.publish(job)
    await until("the job has begun", lambda: created(system, 50), 20)
    await system.run_command("pause")
    await until("both have heard of it", lambda: all(each.logged("sending_paused") for each in processors), 10)
    await asyncio.sleep(0.8)  # calls under way: 200 ms each
    before = (await system.admin("stats"))["requests_total"]
    assert before < PAUSED_ROWS, "the job was over before the pause"
    await system.start_processors(1)
    await asyncio.sleep(PAUSE_SECONDS)
    assert (await system.admin("stats"))["requests_total"] == before, "sent while paused"
    await system.run_command("resume")
    await system.inject(latency_ms=20)  # what is left would only take time
    audit = await finish_and_audit(system, job, seconds=60)
    assert audit.kinds == {"RowCreated": PAUSED_ROWS}
    kept(f"paused in mid-job, one processor more: 0 requests; after resume {audit.summary()}")


async def created(system: ProcessorSystem, count: int) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count
