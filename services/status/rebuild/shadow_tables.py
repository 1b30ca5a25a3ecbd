"""Tables that are made beside those in use, and take their place: at once, or not at all.

SQLite: a file beside the database, copied over in one transaction. PostgreSQL: a schema, whose tables are moved over in
one transaction. Status services may go on meanwhile. They wait for that transaction, and go on from the offsets that
they find after it.
"""

import contextlib
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from aiokafka import TopicPartition
from sqlalchemy import URL, event, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from services.status.tables.definitions import metadata, offsets
from services.status.tables.schema_version import VERSION_TABLE, migrate
from shared.runtime.databases import create_engine

Offsets = dict[TopicPartition, int]
#: Brings the new tables at least as far as the old ones are.
CatchUp = Callable[[Offsets], Awaitable[None]]

_TABLES: Final = [*(table.name for table in metadata.sorted_tables), VERSION_TABLE]
#: Any number will do: it makes a second rebuild see the first.
_LOCK: Final = 7_302_115
_LOCK_TIMEOUT: Final = "30s"


class AlreadyRebuilding(RuntimeError):
    """Another process makes these tables again: wait for it."""


class ShadowTables(Protocol):
    """New, empty tables."""

    engine: AsyncEngine

    async def replace(self, catch_up: CatchUp) -> None:
        """The new tables take the place of the old ones, whose offsets do not move any more while `catch_up` runs."""


@asynccontextmanager
async def shadow_tables(url: URL) -> AsyncIterator[ShadowTables]:
    """New, empty tables for that database; they are gone afterwards. Raises AlreadyRebuilding when there are some."""
    engine = create_engine(url)
    try:
        open_shadow = _postgresql_shadow if url.get_backend_name() == "postgresql" else _sqlite_shadow
        async with open_shadow(engine, url) as opened:
            yield opened
    finally:
        await engine.dispose()


async def offsets_of(engine: AsyncEngine) -> Offsets:
    """How far the tables are that are in use; nothing when there are none."""
    async with engine.connect() as connection:
        return await _offsets(connection)


async def _offsets(connection: AsyncConnection) -> Offsets:
    if not await connection.run_sync(lambda sync: sync.dialect.has_table(sync, offsets.name)):
        return {}
    found = await connection.execute(select(offsets))
    return {TopicPartition(topic, partition): offset for topic, partition, offset in found}


# ---- SQLite ----------------------------------------------------------------------------------------------------------


class _SqliteShadow:
    """A file beside the database."""

    def __init__(self, engine: AsyncEngine, path: Path, rebuilt: AsyncEngine) -> None:
        self._old = engine
        self._path = path
        self.engine = rebuilt

    async def replace(self, catch_up: CatchUp) -> None:
        await migrate(self._old)
        async with self._old.connect() as connection:
            await connection.exec_driver_sql("ATTACH DATABASE ? AS rebuilt", (str(self._path),))
            # From here on nobody else writes. BEGIN IMMEDIATE would lock the new tables as well.
            await connection.execute(update(offsets).values(next_offset=offsets.c.next_offset))
            await catch_up(await _offsets(connection))
            for name in _TABLES:
                await connection.exec_driver_sql(f"DELETE FROM main.{name}")  # noqa: S608 - our names
                await connection.exec_driver_sql(f"INSERT INTO main.{name} SELECT * FROM rebuilt.{name}")  # noqa: S608
            await connection.commit()
            await connection.exec_driver_sql("DETACH DATABASE rebuilt")


@asynccontextmanager
async def _sqlite_shadow(engine: AsyncEngine, url: URL) -> AsyncIterator[ShadowTables]:
    path = Path(f"{url.database}.rebuild")
    with _exclusive(Path(f"{url.database}.rebuild-lock")):
        _remove(path)  # of a rebuild that was interrupted
        rebuilt = create_engine(url.set(database=str(path)))
        try:
            yield _SqliteShadow(engine, path, rebuilt)
        finally:
            await rebuilt.dispose()
            _remove(path)


@contextlib.contextmanager
def _exclusive(lock: Path) -> Any:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRebuilding("another process is making these tables again") from None
        yield


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


class _PostgresqlShadow:
    """A schema of the same database."""

    def __init__(self, engine: AsyncEngine, old: str, name: str, rebuilt: AsyncEngine) -> None:
        self._old_engine = engine
        self._old = old
        self._name = name
        self.engine = rebuilt

    async def replace(self, catch_up: CatchUp) -> None:
        async with self._old_engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
            known = await connection.run_sync(lambda sync: sync.dialect.has_table(sync, offsets.name))
            if known:  # waits for transactions of the projection, and keeps the next ones waiting
                await connection.execute(text(f"LOCK TABLE {self._old}.{offsets.name} IN EXCLUSIVE MODE"))
            await catch_up(await _offsets(connection))
            for name in _TABLES:
                await connection.execute(text(f"DROP TABLE IF EXISTS {self._old}.{name}"))
                await connection.execute(text(f"ALTER TABLE {self._name}.{name} SET SCHEMA {self._old}"))


@asynccontextmanager
async def _postgresql_shadow(engine: AsyncEngine, url: URL) -> AsyncIterator[ShadowTables]:
    async with engine.connect() as lock:
        schema = (await lock.execute(text("SELECT quote_ident(current_schema())"))).scalar_one()
        name = (await lock.execute(text("SELECT quote_ident(current_schema() || '_rebuild')"))).scalar_one()
        if not (await lock.execute(text(f"SELECT pg_try_advisory_lock({_LOCK})"))).scalar_one():
            raise AlreadyRebuilding("another process is making these tables again")
        await lock.commit()  # the lock is the session's, and ends with it
        await _execute(engine, f"DROP SCHEMA IF EXISTS {name} CASCADE", f"CREATE SCHEMA {name}")
        rebuilt = create_engine(url)
        event.listen(rebuilt.sync_engine, "connect", _use_schema(name))
        try:
            yield _PostgresqlShadow(engine, schema, name, rebuilt)
        finally:
            await rebuilt.dispose()
            await _execute(engine, f"DROP SCHEMA IF EXISTS {name} CASCADE")
            await lock.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))


async def _execute(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


def _use_schema(schema: str) -> Callable[[Any, ConnectionPoolEntry], None]:
    def set_search_path(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.autocommit = True  # else the setting would go with the transaction that it was made in
        cursor = connection.cursor()
        cursor.execute(f"SET search_path TO {schema}")
        cursor.close()
        connection.autocommit = False

    return set_search_path
