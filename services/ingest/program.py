"""`python -m services.ingest` takes uploads; `python -m services.ingest migrate` brings the tables up to date."""

import asyncio
import gc
import sys

from services.ingest.keys.schema_version import migrate
from services.ingest.keys.sqlite_lock import claim
from services.ingest.service import build
from services.ingest.settings import IngestSettings
from shared.runtime.databases import create_engine
from shared.runtime.http_server import bind, serve
from shared.runtime.logging import configure_logging
from shared.runtime.settings import load, stop
from shared.runtime.telemetry import configure_tracing


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
