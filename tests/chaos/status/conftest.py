"""What tests of jobs under commands share: two replicas of the status service beside a system's processors."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_port
from shared.contract.events import JobFinished
from tests.support.processor.jobs import Job
from tests.support.processor.processor_system import ProcessorSystem
from tests.support.status.status_service import API, StatusService
from tests.support.until import until


class StatusReplicas:
    """Two replicas of the status service over one database, beside the system's processors."""

    def __init__(self, system: ProcessorSystem, replicas: list[StatusService]) -> None:
        self.system = system
        self.replicas = replicas

    async def command(self, replica: int, job: Job, what: str) -> httpx.Response:
        """Asks one of them to cancel or retry."""
        return await self.replicas[replica].http.post(f"{API}/jobs/{job.job_id}/{what}")

    async def status(self, job: Job) -> dict:
        """The job, by whichever replica answers."""
        for replica in self.replicas:
            try:
                if found := await replica.status(job.job_id):
                    return found
            except httpx.TransportError:
                continue
        return {}

    async def shows(self, job: Job, seconds: float, **expected: object) -> dict:
        """Waits until the status has these fields."""
        found: dict = {}

        async def does() -> bool:
            found.update(await self.status(job))
            return expected.items() <= found.items()

        try:
            await until(f"the job has {expected}", does, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; but {found | {'result': None}}") from None
        return found

    async def finishes(self) -> list[JobFinished]:
        """The JobFinished events, one for each round."""
        found = [event for event in await self.system.events(self.system.topics.jobs) if isinstance(event, JobFinished)]
        return list({event.event_id: event for event in found}.values())


@pytest.fixture
async def status(system: ProcessorSystem, postgres_url: str, tmp_path: Path) -> AsyncIterator[StatusReplicas]:
    """Small windows, so that a cancel finds rows behind them."""
    system.environment |= {"WINDOW_ROWS": "40", "HOSPITAL_API_MAX_CONNECTIONS": "4"}
    times = {
        name: system.environment[name] for name in system.environment if name.startswith(("LEASE", "HOSPITAL_API_"))
    }
    async with AsyncExitStack() as stack:
        replicas = [
            StatusService(system.settings, postgres_url, free_port(), tmp_path / f"status-{number}.log", **times)
            for number in (1, 2)
        ]
        assert await replicas[0].run("migrate") == 0
        for replica in replicas:
            await stack.enter_async_context(replica)
        for replica in replicas:
            await replica.ready()
        yield StatusReplicas(system, replicas)
