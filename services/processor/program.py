"""`python -m services.processor`: turns row events into hospitals until it is stopped; `--help` lists the commands."""

import asyncio

from services.processor.operations.cli import carry_out, parse
from services.processor.service import build
from services.processor.settings import ProcessorSettings
from shared.runtime.http.http_server import bind
from shared.runtime.logging import configure_logging
from shared.runtime.process_tuning import tune_for_rows
from shared.runtime.settings import load
from shared.runtime.telemetry import configure_tracing


def main() -> None:
    """Does what the command line says."""
    command = parse()
    match command.command:
        case "serve":
            _serve(load(ProcessorSettings))
        case _:
            carry_out(command)


def _serve(settings: ProcessorSettings) -> None:
    configure_logging(settings, "processor")
    configure_tracing("processor")
    listening = bind(settings)
    service = build(settings)
    tune_for_rows()
    asyncio.run(service.run(listening))
