"""SQL databases by URL: SQLite for one machine, PostgreSQL for production."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import sqlalchemy
import structlog
from pydantic import AfterValidator
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)
T = TypeVar("T")

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def _supported(text: str) -> str:
    database_url(text)
    return text


#: A setting: the URL of a database that is supported, as the operator wrote it.
DatabaseUrl = Annotated[str, AfterValidator(_supported)]


def database_url(text: str) -> URL:
    """The URL with the driver that we use. Raises ValueError for anything but SQLite and PostgreSQL."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ValueError("is not a database URL such as sqlite:///jobs.db or postgresql://user@host/name") from error
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise ValueError(f"{backend} is not supported: use sqlite:///… or postgresql://…")
    return _asyncpg_words(url.set(drivername=_DRIVERS[backend]))


def _asyncpg_words(url: URL) -> URL:
    # Everybody writes libpq's `?sslmode=require`; asyncpg knows the same values under the name `ssl`.
    if url.drivername != "postgresql+asyncpg" or "sslmode" not in url.query:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})


def create_engine(url: URL, pool_size: int = 10, *, reading: bool = False) -> AsyncEngine:
    """An engine that connects when it is first used. SQLite: write-ahead log, at most 5 s of waiting for a lock.

    Its errors do not show what statements were given: names, addresses and phones would end up in logs.

    `reading`: nothing is written with it, so that no statement has a transaction around it, which costs round trips.
    Nor is a connection tried before each use: ask once more when one turns out to be broken. PostgreSQL: who comes in
    a crowd waits for a connection, which is sooner there than one that would be opened for a single use.
    """
    plain = _options(reading=reading)
    if url.get_backend_name() == "postgresql":
        timeouts: dict[str, Any] = {"pool_timeout": 1.5, "connect_args": {"timeout": 1.5}}
        pool = {"pool_size": pool_size, "pool_pre_ping": not reading} | ({"max_overflow": 0} if reading else {})
        return create_async_engine(url, **pool, **timeouts, **plain)
    engine = create_async_engine(url, **plain)
    event.listen(engine.sync_engine, "connect", _tune_sqlite)
    event.listen(engine.sync_engine, "connect", _stop_once)
    return engine


def create_sqlite_engine(url: URL, *, reading: bool = False) -> Engine:
    """The same SQLite database for whole transactions in threads.

    There no statement waits for a busy event loop. `reading`: nothing can be written with it.
    """
    engine = sqlalchemy.create_engine(url.set(drivername="sqlite"), **_options(reading=reading))
    event.listen(engine, "connect", _tune_sqlite)
    if reading:
        event.listen(engine, "connect", _only_read)
    return engine


def _options(*, reading: bool) -> dict[str, Any]:
    plain = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None} if reading else {}
    return {"hide_parameters": True, **plain}


def _tune_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _set(connection, "busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


def _only_read(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _set(connection, "query_only=ON")


def _set(connection: DBAPIConnection, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _stop_once(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Else a query that is cancelled twice, as at the end of a process, leaves a task that waits for ever: SQLAlchemy
    # closes its connection gracefully and by force, and aiosqlite's thread ends before it comes to the second stop.
    connection.driver_connection.stop = cache(connection.driver_connection.stop)


class DatabaseDown(RuntimeError):
    """The database did not answer in time, or refused: whether a transaction took place is unknown."""


class Database:
    """Runs short transactions, each written as a plain function of a connection. Nothing connects before the first.

    SQLite's run as a whole in a thread: one that ran in the event loop would have to wait for a busy loop before and
    after every statement. Writers of SQLite go one after the other, since it lets a second one wait by sleeping.

    `connections`: how many run at a time. `reading`: as the engine was made.
    """

    def __init__(self, engine: AsyncEngine, connections: int, *, reading: bool = False) -> None:
        sqlite = engine.dialect.name == "sqlite"
        self._engine = engine
        self._reading = reading
        self._sqlite = create_sqlite_engine(engine.url, reading=reading) if sqlite else None
        self._threads = ThreadPoolExecutor(connections if reading else 1, "sqlite")
        # More connections than the pool keeps would be opened for one use.
        self._free = asyncio.Semaphore(connections)
        #: What hears every statement, for SQLAlchemy's events.
        self.statements: Final[Engine] = self._sqlite or engine.sync_engine

    async def run(self, work: Callable[[Connection], T], seconds: float) -> T:
        """What `work` returns: committed then, rolled back when it raises. Raises DatabaseDown after `seconds`."""
        try:
            return await run_with_timeout(seconds, self._run(work))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            log.warning("database_unavailable", reason=reason)
            raise DatabaseDown(reason) from error

    async def close(self) -> None:
        """Closes every connection. What still runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._sqlite:
            self._sqlite.dispose()
        await self._engine.dispose()

    async def _run(self, work: Callable[[Connection], T]) -> T:
        if self._sqlite:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _transaction, self._sqlite, work)
        async with self._free:
            try:
                return await self._once(work)
            except DBAPIError as error:
                if not (self._reading and error.connection_invalidated):
                    raise
            # The connection was from before the database was started last; so were all others, and they are gone too.
            return await self._once(work)

    async def _once(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)


def _transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)
