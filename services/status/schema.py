"""Bringing the tables up to date, and telling whether they are. The version is kept in `status_alembic_version`."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

VERSION_TABLE: Final = "status_alembic_version"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: Any number will do: it makes two migrations at the same time wait for each other.
_LOCK: Final = 7_302_114


class SchemaOutdated(RuntimeError):
    """The tables are missing or of another version: `python -m services.status migrate` brings them up to date."""


@cache
def newest_version() -> str:
    """The version that this code needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def migrate(engine: AsyncEngine) -> None:
    """Brings the tables up to date. Two at once are safe on PostgreSQL: one waits for the other."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade)


async def check_schema(engine: AsyncEngine) -> str:
    """The version of the tables. Raises SchemaOutdated unless it is the one that this code needs."""
    async with engine.connect() as connection:
        found = await connection.run_sync(_version)
    if found != newest_version():
        raise SchemaOutdated(
            f"the tables have version {found or 'none'}, {newest_version()} is needed: "
            "run python -m services.status migrate"
        )
    return found


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar_one_or_none()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # A per cent sign in a path would be taken for an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
