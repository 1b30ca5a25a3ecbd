"""Tables that come with a version: made and changed by Alembic, one step after the other, whole or not at all."""

from functools import cached_property
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class SchemaOutdated(RuntimeError):
    """The tables are missing or of another version; the message says which command brings them up to date."""


class SchemaVersions:
    """The versions of one service's tables. Others may have theirs in the same database."""

    def __init__(self, migrations: Path, version_table: str, migrating: str) -> None:
        """`migrations`: Alembic's folder. `migrating`: the command that an operator runs."""
        self._migrations: Final = migrations
        self._version_table: Final = version_table
        self._migrating: Final = migrating

    @cached_property
    def newest(self) -> str:
        """The version that this code needs."""
        return str(ScriptDirectory.from_config(self._config()).get_current_head())

    async def migrate(self, engine: AsyncEngine) -> None:
        """Brings the tables up to date, in one transaction: cut off, it has done nothing.

        Of several processes that do so at once, one works and the others wait for it, on SQLite for at most 5 s.
        """
        async with engine.connect() as connection:
            if await connection.run_sync(self._found) == self.newest:
                return  # without a lock: whoever writes for long keeps nobody from starting
            await connection.rollback()
            await self._lock(connection)
            await connection.run_sync(self._upgrade)
            await connection.commit()

    def check(self, connection: Connection) -> str:
        """The version of the tables. Raises SchemaOutdated unless it is the one that this code needs."""
        found = self._found(connection)
        if found != self.newest:
            raise SchemaOutdated(
                f"the tables have version {found or 'none'}, {self.newest} is needed: run {self._migrating}"
            )
        return self.newest

    async def _lock(self, connection: AsyncConnection) -> None:
        if connection.dialect.name == "postgresql":
            name = f"hospital_bulk.{self._version_table}"
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock(hashtext('{name}'))")
        else:
            # SQLite's driver begins a transaction for rows that are written, and none for tables that are made: a
            # process that was killed left some of them, and two at once each began to make all.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _found(self, connection: Connection) -> str | None:
        options = {"version_table": self._version_table}
        return MigrationContext.configure(connection, opts=options).get_current_revision()

    def _upgrade(self, connection: Connection) -> None:
        config = self._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def _config(self) -> Config:
        config = Config()
        # A per cent sign in a path would be taken for an interpolation.
        config.set_main_option("script_location", str(self._migrations).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        return config
