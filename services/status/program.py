"""`python -m services.status`: answers what became of uploads until it is stopped; `--help` lists the commands."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.status.rebuild.rebuild import rebuild
from services.status.rebuild.shadow_tables import AlreadyRebuilding
from services.status.service import build
from services.status.settings import MigrationSettings, RebuildSettings, StatusSettings
from services.status.tables.schema_version import check_schema, migrate
from shared.runtime.command_line import service_parser
from shared.runtime.databases import create_engine
from shared.runtime.http.http_server import bind, serve
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.publisher import KafkaUnavailable
from shared.runtime.kafka.topic_admin import TopicsUnusable
from shared.runtime.logging import configure_logging
from shared.runtime.process_tuning import tune_for_batches
from shared.runtime.settings import load, stop
from shared.runtime.telemetry import configure_tracing

log = structlog.get_logger(__name__)


def main() -> None:
    """Does what the command line says."""
    parser, commands = service_parser("status", "Projects results into tables, and answers HTTP queries.")
    commands.add_parser("migrate", help="bring the tables up to date")
    commands.add_parser("rebuild", help="make the tables again from the topics, while the service runs")
    match parser.parse_args().command:
        case "serve":
            _serve(load(StatusSettings))
        case "migrate":
            _migrate(load(MigrationSettings))
        case "rebuild":
            _rebuild(load(RebuildSettings))


def _serve(settings: StatusSettings) -> None:
    configure_logging(settings, "status")
    configure_tracing("status")
    listening = bind(settings)
    app = build(settings)
    tune_for_batches()
    asyncio.run(serve(app, listening))


def _migrate(settings: MigrationSettings) -> None:
    configure_logging(settings, "status")
    asyncio.run(bring_up_to_date(settings))


def _rebuild(settings: RebuildSettings) -> None:
    """Tells a person how far it is, or says in one line why nothing was changed."""
    configure_logging(settings, "status")
    try:
        asyncio.run(rebuild(settings, lambda line: print(line, flush=True)))  # noqa: T201 - talks to a person
    except AlreadyRebuilding as other:
        stop(f"{other}. Nothing was changed")
    except (*KAFKA_FAILURES, KafkaUnavailable, TopicsUnusable, SQLAlchemyError) as error:
        stop(f"{error or type(error).__name__}. The tables are as they were")


async def bring_up_to_date(settings: MigrationSettings) -> None:
    """Migrates the tables, and logs to which version."""
    engine = create_engine(settings.url)
    try:
        await migrate(engine)
        log.info("tables_up_to_date", version=await check_schema(engine))
    finally:
        await engine.dispose()
