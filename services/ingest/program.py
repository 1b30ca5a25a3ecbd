"""`python -m services.ingest`: takes uploads until it is stopped; `--help` lists the commands."""

import asyncio

from services.ingest.keys.schema_version import migrate
from services.ingest.keys.sqlite_lock import claim
from services.ingest.service import build
from services.ingest.settings import IngestSettings
from shared.runtime.command_line import service_parser
from shared.runtime.databases import create_engine
from shared.runtime.http.http_server import bind, serve
from shared.runtime.logging import configure_logging
from shared.runtime.process_tuning import tune_for_requests
from shared.runtime.settings import load
from shared.runtime.telemetry import configure_tracing


def main() -> None:
    """Does what the command line says."""
    parser, commands = service_parser("ingest", "Takes uploads, and emits one row event per hospital.")
    commands.add_parser("migrate", help="bring the tables up to date")
    command = parser.parse_args().command
    settings = load(IngestSettings)
    configure_logging(settings, "ingest")
    configure_tracing("ingest")
    match command:
        case "serve":
            _serve(settings)
        case "migrate":
            asyncio.run(migrate(create_engine(settings.database)))


def _serve(settings: IngestSettings) -> None:
    listening, _lock = bind(settings), claim(settings.database)
    app = build(settings)
    tune_for_requests()
    asyncio.run(serve(app, listening))
