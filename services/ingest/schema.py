"""The version of the tables: SQLite is brought up to date at the start, PostgreSQL by `migrate` and never by itself."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

#: Its own, since the status service may have its tables in the same database.
VERSION_TABLE: Final = "ingest_alembic_version"


class SchemaOutdated(RuntimeError):
    """The tables are not those that this version works with; the message says what to run."""


async def migrate(engine: AsyncEngine) -> None:
    """Brings the tables up to date."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def check_schema(connection: Connection) -> None:
    """Raises SchemaOutdated unless the tables are up to date."""
    found = _version(connection)
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    if found != wanted:
        raise SchemaOutdated(f"the tables have version {found}, not {wanted}: run python -m services.ingest migrate")


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Two replicas that migrate at once: the second waits here, and then finds nothing to do.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('hospital_bulk.ingest.migrate'))")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
