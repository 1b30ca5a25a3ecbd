"""The ingest service as a process of its own, to be killed at any moment."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from deploy.local.ports import free_port
from tests.support.forked import Forked


class IngestProcess:
    """`python -m services.ingest` with this environment, on one port over all its lives."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self.log = directory / "ingest.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "OTEL_"))},
            "INGEST_DATABASE_URL": f"sqlite:///{directory / 'ingest.db'}",
            "HTTP_PORT": str(self.port),
            "TMPDIR": str(directory),
            **environment,
        }
        self._process: Forked | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    async def start(self, path: str = "/health/ready") -> None:
        """Returns when this path says that all is well: by default, when it is ready."""
        self._process = Forked("services.ingest", environment=self._environment, log=self.log)
        async with asyncio.timeout(60), httpx.AsyncClient(base_url=self.url) as client:
            while not await self._is_well(client, path):
                assert self._process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def _is_well(self, client: httpx.AsyncClient, path: str) -> bool:
        try:
            return (await client.get(path)).status_code == 200
        except httpx.HTTPError:
            return False

    def memory(self) -> int:
        """The resident bytes of the service and of the processes that it started."""
        assert self._process is not None
        service = psutil.Process(self._process.pid)
        found = 0
        for process in [service, *service.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += process.memory_info().rss
        return found

    def kill(self) -> None:
        """Kills it with signal 9. No harm when it is not running."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Asks it to end, and waits; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)
