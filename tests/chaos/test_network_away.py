"""A network between processors and directory that is away while their connections stay established."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.chaos.conftest import Kept
from tests.chaos.size import FASTER_SETTINGS, sized
from tests.support.audit import activate, finish_and_audit
from tests.support.cut_network import CutNetwork, in_own_network
from tests.support.processor.jobs import make_job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.servers import private_broker
from tests.support.until import until

#: Seconds. Linux sends again what it could not deliver after 0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4, 51 and 102 s.
OUTAGES = sized((4,), (20, 42, 70))
#: At full size those of an installation: a look-up comes after 40 s at the earliest.
TIMES = sized(
    FASTER_SETTINGS, {"HOSPITAL_API_TIMEOUT": "10", "HOSPITAL_API_SETTLE_SECONDS": "30", "LEASE_SECONDS": "10"}
)
#: Calls are short, so that many connections are about to send when the network goes away.
LATENCY_MS = 5
CONNECTIONS = 32
ROWS = sized(1000, 4000)


@pytest.mark.parametrize("outage", OUTAGES)
@in_own_network(sized(200, 600))
def test_nothing_that_was_sent_into_an_outage_arrives_twice(outage: int, tmp_path: Path, kept: Kept):
    """What was written in the moment of the cut is not delivered when its row has been looked up and sent again."""
    with CutNetwork() as network, network.directory() as url, private_broker() as broker:
        asyncio.run(
            lose_calls(network, ProcessorSystem(broker.bootstrap, "", tmp_path, directory_url=url), outage, kept)
        )


async def lose_calls(network: CutNetwork, system: ProcessorSystem, outage: int, kept: Kept) -> None:
    """The network goes away in the middle of a job, when every connection is in use."""
    system.environment |= TIMES | {"HOSPITAL_API_MAX_CONNECTIONS": str(CONNECTIONS)}
    async with system:
        await system.inject(latency_ms=LATENCY_MS)
        processors = await system.start_processors(2)
        job = make_job(ROWS)
        await system.publish(job, express=False)
        await until("the job is in its middle", lambda: has_created(system, ROWS // 5), 60)
        network.cut()
        await until("a call has been given up", lambda: any(each.logged("row_in_doubt") for each in processors), 60)
        written = time.monotonic() - float(system.environment["HOSPITAL_API_TIMEOUT"])
        await asyncio.sleep(written + outage - time.monotonic())
        assert len(await system.results()) < ROWS, "the job was over before"
        network.mend()
        await system.wait_for_results(ROWS, 300)
        await asyncio.sleep(written + seconds_to_the_next_try_after(outage) - time.monotonic())
        await activate(system, job)
        assert all(each.alive for each in processors)
        audit = await finish_and_audit(system, job, seconds=1)
    assert audit.kinds == {"RowCreated": ROWS}
    again = sum(result.attempts > 1 for result in audit.results)
    kept(f"network away for {outage} s: {audit.summary()}, {audit.look_ups} look-ups, {again} rows sent again")


async def has_created(system: ProcessorSystem, count: int) -> bool:
    """Whether the directory holds so many hospitals."""
    return (await system.admin("stats"))["creates"] >= count


def seconds_to_the_next_try_after(outage: float) -> float:
    """When the kernel would have delivered what was written at the cut: it waits twice as long each time."""
    at, wait = 0.0, 0.21
    while at < outage:
        at, wait = at + wait, 2 * wait
    return at + 2.0
