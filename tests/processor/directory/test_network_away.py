"""A network that goes away under a call: what was written must not arrive after the row has been looked up."""

import asyncio
import subprocess
import sys
import time

import aiohttp

from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import Listed, Unanswered
from services.processor.settings import DirectorySettings
from tests.support.cut_network import CutNetwork, in_own_network
from tests.support.processor.jobs import make_job
from tests.support.until import until

TIMEOUT, SETTLE, OUTAGE = 2.0, 3.0, 7.0
#: The kernel sends again after 0.2, 0.6, 1.4, 3, 6.2, 12.6 s.
LAST_RESENT = 14.0

#: Makes a connection, then one call on it when it is told to.
CALLER = """
import asyncio, sys
from services.processor.directory.client import DirectoryClient
from services.processor.settings import DirectorySettings
from tests.support.processor.jobs import make_job

async def main():
    url, timeout = sys.argv[1:]
    async with DirectoryClient(DirectorySettings(hospital_api_base_url=url, hospital_api_timeout=timeout)) as client:
        row = make_job(1).rows[0]
        await client.look_up(row.batch_id)
        print("connected", flush=True)
        sys.stdin.readline()
        call = asyncio.create_task(client.create(row, lambda: True))
        await asyncio.sleep(0.1)
        print("written", flush=True)
        await call

asyncio.run(main())
"""


@in_own_network(60)
def test_a_call_that_was_given_up_is_not_delivered_after_its_look_up():
    """Linux goes on sending what a closed socket had written: the directory got a hospital after it had none."""
    with CutNetwork() as network, network.directory() as url:
        asyncio.run(lose_a_call(network, url))


@in_own_network(60)
def test_a_call_of_a_processor_that_was_killed_is_not_delivered_later():
    """The kernel closes its socket and goes on sending, while the lane's next owner looks the row up."""
    with CutNetwork() as network, network.directory() as url:
        with subprocess.Popen(
            [sys.executable, "-c", CALLER, url, str(TIMEOUT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as caller:
            assert caller.stdout.readline() == b"connected\n"
            network.cut()
            began = time.monotonic()
            caller.stdin.write(b"call\n")
            caller.stdin.flush()
            assert caller.stdout.readline() == b"written\n"
            caller.kill()
        asyncio.run(come_back_late(network, began))
        assert asyncio.run(creations(url)) == 0


async def lose_a_call(network: CutNetwork, url: str) -> None:
    row = make_job(1).rows[0]
    settings = DirectorySettings(
        hospital_api_base_url=url, hospital_api_timeout=TIMEOUT, hospital_api_settle_seconds=SETTLE
    )
    async with DirectoryClient(settings) as client:
        assert await client.look_up(row.batch_id) == Listed(())  # from now on there is a connection
        began = time.monotonic()

        def cut_the_network() -> bool:
            network.cut()
            return True

        assert isinstance(await client.create(row, cut_the_network), Unanswered)
        await asyncio.sleep(began + OUTAGE - time.monotonic())
        network.mend()

        async def absent() -> bool:
            return await client.look_up(row.batch_id) == Listed(())

        await until("a look-up shows that it is absent", absent, 10)
        await client.create(row, lambda: True)
        await asyncio.sleep(began + LAST_RESENT - time.monotonic())
    assert await creations(url) == 1


async def come_back_late(network: CutNetwork, began: float) -> None:
    """After everybody has given up, and until the kernel would have sent once more."""
    await asyncio.sleep(began + OUTAGE - time.monotonic())
    network.mend()
    await asyncio.sleep(began + LAST_RESENT - time.monotonic())


async def creations(url: str) -> int:
    """How many hospitals the directory has created."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/admin/stats") as answer:
        return (await answer.json())["creates"]
