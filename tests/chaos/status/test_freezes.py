"""Kafka freezes 30 times: status answers, goes on afterwards, and leaves nothing open."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from deploy.local.broker.kafka import Broker
from services.status.settings import StatusSettings
from tests.chaos.conftest import Kept
from tests.chaos.size import only_in_full
from tests.support.open_ends import tracebacks
from tests.support.status.frozen_service import assert_nothing_is_left, settings_on, write_jobs
from tests.support.status.status_service import API, StatusService
from tests.support.until import until

FREEZES = 30
#: A freeze of more than 10 s ends every request, one of more than 6 s the membership of a group.
LONGEST_SECONDS = 13.0
WORKING_SECONDS = 60.0


@pytest.fixture
async def broker(own_broker: Callable[[], Broker]) -> Broker:
    """A broker of this test's own."""
    return own_broker()


@pytest.fixture
async def settings(broker: Broker, tmp_path: Path) -> StatusSettings:
    """A service on it."""
    return await settings_on(broker, tmp_path)


@only_in_full
@pytest.mark.timeout(1800)
async def test_thirty_freezes_leave_nothing_of_a_service_that_stops(
    settings: StatusSettings, broker: Broker, kept: Kept
) -> None:
    """Its end is cut off each time."""
    await assert_nothing_is_left(settings, broker, FREEZES)
    kept(f"{FREEZES} freezes of a broker whose status stops: no task and no socket left, no complaint")


@only_in_full
@pytest.mark.timeout(1800)
async def test_thirty_freezes_end_no_process_and_leave_nothing(
    settings: StatusSettings, broker: Broker, free_port: int, tmp_path: Path, chance: random.Random, kept: Kept
) -> None:
    """Of any length, while commands are sent: a command is taken after each of them."""
    log = tmp_path / "status.log"
    async with StatusService(settings, settings.status_database_url, free_port, log) as service:
        job_ids = await write_jobs(settings, FREEZES + 1)
        await is_cancelled(service, job_ids.pop())
        process = psutil.Process(service.pid)
        before = len(process.net_connections())
        for job_id in job_ids:
            broker.pause()
            cancel = asyncio.create_task(service.http.post(f"{API}/jobs/{job_id}/cancel"))
            await asyncio.sleep(chance.uniform(0.1, LONGEST_SECONDS))
            broker.resume()
            assert (await cancel).status_code in (202, 503)
            await is_cancelled(service, job_id)
        await until("all sockets are closed", lambda: len(process.net_connections()) <= before, WORKING_SECONDS)
        assert service.pid == process.pid
        assert process.is_running()
    assert tracebacks(log) == []
    kept(f"{FREEZES} freezes of up to {LONGEST_SECONDS:g} s: a command after each, {before} sockets as before")


async def is_cancelled(service: StatusService, job_id: str) -> None:
    """Cancels the job; one that is being cancelled already is refused."""

    async def is_answered() -> bool:
        return (await service.http.post(f"{API}/jobs/{job_id}/cancel")).status_code in (202, 409)

    await until("a command is taken", is_answered, WORKING_SECONDS)
