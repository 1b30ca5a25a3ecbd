"""The sandbox as a process of its own, until it is told to stop."""

import asyncio
import os
import signal
import sys

from deploy.local.sandbox.precise_timers import precise_event_loop
from deploy.local.sandbox.server import Sandbox
from shared.runtime.process_tuning import tune_for_hospitals


def main() -> None:
    """Listens on ``SANDBOX_HOST``:``SANDBOX_PORT`` (127.0.0.1:8900; port 0 = a free one) until SIGINT or SIGTERM.
    Prints one line with the URL once it listens; a port that is taken ends it with one line."""
    tune_for_hospitals()
    host = os.environ.get("SANDBOX_HOST", "127.0.0.1")
    with asyncio.Runner(loop_factory=precise_event_loop) as runner:
        runner.run(serve(host, port_from(os.environ.get("SANDBOX_PORT", "8900"))))


def port_from(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 65_536:
        return int(text)
    sys.exit(f"SANDBOX_PORT must be a port from 0 (a free one) to 65535, not {text!r}.")


async def serve(host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with Sandbox(host, port) as sandbox:
            print(f"Sandbox hospital directory on {sandbox.base_url} (faults: {sandbox.base_url}/admin)", flush=True)
            await stop.wait()
    except OSError as error:
        sys.exit(
            f"The sandbox directory cannot listen on {host}:{port} ({error.strerror}): set SANDBOX_PORT to another."
        )
