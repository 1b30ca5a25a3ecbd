"""`python -m services.status` serves; `migrate` brings the tables up to date, `rebuild` makes them again."""

import asyncio
import sys

import structlog
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from services.status.projection import gc_policy
from services.status.rebuild.rebuild import rebuild
from services.status.rebuild.shadow_tables import AlreadyRebuilding
from services.status.service import build
from services.status.settings import MigrationSettings, RebuildSettings, StatusSettings
from services.status.tables.schema_version import check_schema, migrate
from shared.runtime.databases import create_engine
from shared.runtime.http_server import bind, serve
from shared.runtime.logging import configure_logging
from shared.runtime.publisher import KafkaUnavailable
from shared.runtime.settings import load, stop
from shared.runtime.telemetry import configure_tracing
from shared.runtime.topic_admin import TopicsUnusable

log = structlog.get_logger(__name__)


def main() -> None:
    """Does what the command line says."""
    match sys.argv[1:]:
        case []:
            run()
        case ["migrate"]:
            settings = load(MigrationSettings)
            configure_logging(settings, "status")
            asyncio.run(bring_up_to_date(settings))
        case ["rebuild"]:
            make_again(load(RebuildSettings))
        case _:
            stop("usage: python -m services.status [migrate | rebuild]")


def run() -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = load(StatusSettings)
    configure_logging(settings, "status")
    configure_tracing("status")
    listening = bind(settings)
    service = build(settings)
    # SQLite's threads need the interpreter for moments only, and get it from a busy loop after this long.
    sys.setswitchinterval(0.0005)
    gc_policy.leave_for_quiet_moments()
    asyncio.run(serve(service, listening))


def make_again(settings: RebuildSettings) -> None:
    """Makes the tables again from the topics, telling a person how far it is; or says in one line why not."""
    configure_logging(settings, "status")
    try:
        asyncio.run(rebuild(settings, lambda line: print(line, flush=True)))  # noqa: T201 - talks to a person
    except AlreadyRebuilding as other:
        stop(f"{other}. Nothing was changed")
    except (KafkaError, KafkaUnavailable, TopicsUnusable, SQLAlchemyError, OSError) as error:
        stop(f"{error or type(error).__name__}. The tables are as they were")


async def bring_up_to_date(settings: MigrationSettings) -> None:
    """Migrates the tables, and says to which version."""
    engine = create_engine(settings.url)
    try:
        await migrate(engine)
        log.info("tables_up_to_date", version=await check_schema(engine))
    finally:
        await engine.dispose()
