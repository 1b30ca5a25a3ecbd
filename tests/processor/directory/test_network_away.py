"""A network that goes away under a call: what was written must not arrive after the row has been looked up."""

import asyncio
import sys
import time

from deploy.local.ports import free_port
from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import Listed, Unanswered
from services.processor.settings import DirectorySettings
from tests.support.cut_network import FAR_HOST, CutNetwork, in_own_network
from tests.support.processor.jobs import make_job
from tests.support.until import until

TIMEOUT, SETTLE, OUTAGE = 2.0, 3.0, 7.0
#: The kernel sends again after 0.2, 0.6, 1.4, 3, 6.2, 12.6 s.
LAST_RESENT = 14.0


@in_own_network(60)
def test_a_call_that_was_given_up_is_not_delivered_after_its_look_up():
    """Linux goes on sending what a closed socket had written: the directory got a hospital after it had none."""
    with CutNetwork() as network:
        port = free_port()
        sandbox = (
            "env",
            f"SANDBOX_HOST={FAR_HOST}",
            f"SANDBOX_PORT={port}",
            sys.executable,
            "-m",
            "deploy.local.sandbox",
        )
        with network.running(*sandbox):
            asyncio.run(lose_a_call(network, f"http://{FAR_HOST}:{port}"))


async def lose_a_call(network, url):
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
        await asyncio.sleep(began + max(OUTAGE, TIMEOUT + SETTLE) - time.monotonic())
        network.mend()
        listed = []

        async def looked_up() -> bool:
            outcome = await client.look_up(row.batch_id)
            listed.append(outcome)
            return isinstance(outcome, Listed)

        await until("the directory answers a look-up", looked_up, 10)
        assert listed[-1] == Listed(())
        await client.create(row, lambda: True)
        await asyncio.sleep(began + LAST_RESENT - time.monotonic())
        found = await client.look_up(row.batch_id)
        assert len(found.hospitals) == 1, f"created {len(found.hospitals)} times"
