"""Starts services and the sandbox as processes, forked from one that has imported them already.

The imports of a service cost more than a second of CPU, and the tests start hundreds of processes. A forked process
has its imports done; all else is as with `python -m services.x`: process id, environment, signals, exit status.
tests/deploy and tests/ingest/test_start.py start real command lines.
"""

import asyncio
import atexit
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from deploy.local.supervisor.parent_death import request_parent_death_signal

_PRELOADED: Final = (
    "services.ingest.program",
    "services.processor.program",
    "services.status.program",
    "deploy.local.sandbox.process",
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__, *_PRELOADED])


class Forked:
    """`python -m MODULE ARGUMENTS` with exactly this environment; its output is appended to `log`.

    It ends with the process that started it, also after a kill -9 (on Linux).
    """

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str], log: Path) -> None:
        log.touch()
        self._process: ForkServerProcess = _context.Process(
            target=_become, args=(module, arguments, dict(environment), log)
        )
        self._process.start()
        atexit.register(self.kill)  # before multiprocessing waits for it

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs, frozen or not."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal; does nothing when the process has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> int:
        """Waits for its end and returns the exit status. Raises TimeoutError."""
        self._process.join(seconds)
        if self.returncode is None:
            raise TimeoutError(f"process {self.pid} has not ended within {seconds} s")
        return self.returncode

    async def ended(self) -> int:
        """Waits for its end without blocking the event loop, and returns the exit status."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        watched = os.dup(self._process.sentinel)  # a loop allows one reader for each descriptor
        loop.add_reader(watched, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        return self.wait()


def _become(module: str, arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
    request_parent_death_signal(signal.SIGKILL)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
