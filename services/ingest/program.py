"""`python -m services.ingest` takes uploads; `python -m services.ingest migrate` brings the tables up to date."""

import asyncio
import gc
import sys

from services.ingest.schema import migrate
from services.ingest.service import build
from services.ingest.settings import IngestSettings
from services.ingest.sole_user import claim
from shared.databases import create_engine
from shared.http_server import bind, serve
from shared.logging import configure_logging
from shared.settings import load, stop
from shared.telemetry import configure_tracing


def main() -> None:
    """Reads the settings, builds, runs."""
    settings = load(IngestSettings)
    configure_logging(settings, "ingest")
    configure_tracing("ingest")
    match sys.argv[1:]:
        case []:
            # The database's threads need the interpreter for moments only, and get it from a busy loop after this long.
            sys.setswitchinterval(0.0005)
            listening, _lock = bind(settings), claim(settings.database)
            app = build(settings)
            # Nothing imported is garbage, and to look through it all stops the event loop for a tenth of a second.
            gc.freeze()
            asyncio.run(serve(app, listening))
        case ["migrate"]:
            asyncio.run(migrate(create_engine(settings.database)))
        case _:
            stop("use python -m services.ingest [migrate]")
