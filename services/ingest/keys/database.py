"""The service's database: short transactions, each of which ends within a second and a half or is given up."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.runtime.databases import create_sqlite_engine
from shared.runtime.timeouts import run_with_timeout

log = structlog.get_logger(__name__)
T = TypeVar("T")

PATIENCE_SECONDS: Final = 1.5
#: Connections to PostgreSQL.
POOL_SIZE: Final = 10


class DatabaseDown(RuntimeError):
    """The database did not answer, or refused: whether the transaction took place is unknown."""


class Database:
    """Runs transactions. Nothing connects before the first of them.

    SQLite's run one after the other, each as a whole in a thread: it lets several writers wait by sleeping, and a
    busy event loop would have to be waited for before every statement.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sqlite = create_sqlite_engine(engine.url) if engine.dialect.name == "sqlite" else None
        self._thread = ThreadPoolExecutor(1, "sqlite")
        # More connections than the pool keeps would be opened for one use.
        self._turns = asyncio.Semaphore(POOL_SIZE)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """One transaction: committed when `work` returns, rolled back when it raises. Raises DatabaseDown."""
        try:
            return await run_with_timeout(PATIENCE_SECONDS, self._transaction(work))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("database_unavailable", reason=str(error).partition("\n")[0])
            raise DatabaseDown(str(error)) from error

    async def _transaction(self, work: Callable[[Connection], T]) -> T:
        if self._sqlite:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _whole, self._sqlite, work)
        async with self._turns, self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Closes every connection. What still runs ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._engine.dispose()


def _whole(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)
