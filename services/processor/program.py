"""`python -m services.processor`: turns row events into hospitals until it is stopped; `--help` lists the commands."""

import asyncio
import gc
import socket
import sys

from services.processor.engine import Engine
from services.processor.health import make_app
from services.processor.operations.cli import control, parse
from services.processor.settings import ProcessorSettings
from shared.runtime.http_server import bind, serve
from shared.runtime.logging import configure_logging
from shared.runtime.settings import load
from shared.runtime.telemetry import configure_tracing


def main() -> None:
    """Reads the settings, builds, runs; or carries out an operator's command."""
    command = parse(sys.argv[1:])
    if command.command is not None:
        control(command)
        return
    # Tens of thousands of rows wait in the windows, and none is a cycle: looking for one so often cost half the CPU.
    gc.set_threshold(50_000, 20, 50)
    settings = load(ProcessorSettings)
    configure_logging(settings, "processor")
    configure_tracing("processor")
    asyncio.run(_run(settings, bind(settings)))


async def _run(settings: ProcessorSettings, listening: socket.socket) -> None:
    engine = Engine(settings)
    async with asyncio.TaskGroup() as tasks:
        processing = tasks.create_task(engine.run())
        await serve(make_app(settings, engine), listening)
        processing.cancel()
