"""Processors that die or freeze in the middle of their calls."""

import asyncio
import random
import time

from shared.contract.events import BatchActivationRequested
from tests.chaos.conftest import Kept
from tests.chaos.size import sized
from tests.support.audit import activate, finish_and_audit
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_process import Processor, wall_time
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.recording_proxy import RecordingProxy, Request
from tests.support.until import until

KILLED_ROWS = sized(600, 1500)
KILLS = sized(3, 10)
FROZEN_ROWS = sized(300, 600)
#: Enough that half of them are still waiting when the first has been sent.
ACTIVATIONS = 60


async def test_kill_9_of_one_processor_of_three_every_1500_ms(
    system: ProcessorSystem, chance: random.Random, kept: Kept
):
    """Whoever dies, whenever: every hospital is created once, every row has one result, the job is activated."""
    await system.inject(latency_ms=50)
    # Few connections, so that the job outlasts the kills.
    system.environment["HOSPITAL_API_MAX_CONNECTIONS"] = "2"
    alive = await system.start_processors(3)
    job = make_job(KILLED_ROWS)
    await system.publish(job, express=False)
    for _ in range(KILLS):
        await asyncio.sleep(1.5)
        victim = alive.pop(chance.randrange(len(alive)))
        victim.kill()
        alive.append(await system.start_processor())
    assert (await system.admin("stats"))["creates"] < KILLED_ROWS, "the job was over before the last kill"
    await system.wait_for_results(KILLED_ROWS, 120)
    await activate(system, job)
    audit = await finish_and_audit(system, job, seconds=1)
    assert audit.kinds == {"RowCreated": KILLED_ROWS}
    kept(f"kill -9 of one of three, {KILLS} times: {audit.summary()}, {audit.look_ups} look-ups, activated")


async def test_a_frozen_processor_sends_nothing_more_when_it_thaws(system: ProcessorSystem, kept: Kept):
    """SIGSTOP past the session time-out, takeover, SIGCONT: its rows and requests have another owner by then."""
    await system.inject(latency_ms=50)
    two_calls = {"HOSPITAL_API_MAX_CONNECTIONS": "2"}
    async with RecordingProxy(system.directory_url) as proxy:
        frozen = await system.start_processor(HOSPITAL_API_BASE_URL=proxy.url, **two_calls)
        other = await system.start_processor(**two_calls)
        await system.settled()
        job = make_job(FROZEN_ROWS)
        await system.publish(job, express=False)
        await until("the first of them is in the middle of its rows", lambda: len(proxy.requests) > 30, 20)
        await system.write([(system.topics.jobs, request) for request in requests(ACTIVATIONS)])
        await until("and of requests for activation", lambda: bool(sent(proxy, "PATCH")), 20)
        frozen.freeze()
        await until("the other one has taken everything over", lambda: len(other.lanes()) == 6, 30)
        thawed = time.time()
        frozen.thaw()
        audit = await finish_and_audit(system, job, seconds=60)
    back = first(frozen, "lane_taken_over", since=thawed)
    stale = [request for request in proxy.requests if thawed < request.wall < back]
    assert not stale, f"sent on a permit that had ended: {stale[:3]}"
    assert audit.kinds == {"RowCreated": FROZEN_ROWS}
    kept(f"SIGSTOP, takeover, SIGCONT: {audit.summary()}, {len(stale)} requests of the frozen one on its old permit")


def requests(count: int) -> list[BatchActivationRequested]:
    """Requests for activation that both processors share; the directory knows none of these batches."""
    names = [f"nowhere-{number}" for number in range(count)]
    return [BatchActivationRequested(tenant="public", job_id=name, batch_id=name, request_id="r") for name in names]


def sent(proxy: RecordingProxy, method: str) -> list[Request]:
    """The requests with this method so far."""
    return [request for request in proxy.requests if request.line.startswith(method)]


def first(processor: Processor, event: str, since: float) -> float:
    """When a processor first logged an event after a moment; both in seconds of the wall clock."""
    return min((wall_time(line) for line in processor.logged(event) if wall_time(line) > since), default=1e99)
