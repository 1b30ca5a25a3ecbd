"""The service's database: short transactions, each of which ends within a second and a half or is given up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.patience import within

log = structlog.get_logger(__name__)
T = TypeVar("T")

PATIENCE_SECONDS: Final = 1.5
#: Connections that are kept open.
POOL_SIZE: Final = 10


class DatabaseDown(RuntimeError):
    """The database did not answer, or refused: whether the transaction took place is unknown."""


class Database:
    """Runs transactions. Nothing connects before the first of them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # SQLite lets its writers wait by sleeping; and more connections than the pool keeps are opened for one use.
        self._turns = asyncio.Semaphore(1 if engine.dialect.name == "sqlite" else POOL_SIZE)

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """One transaction: committed when `work` returns, rolled back when it raises. Raises DatabaseDown."""
        try:
            return await within(PATIENCE_SECONDS, self._transaction(work))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("database_unavailable", reason=str(error).partition("\n")[0])
            raise DatabaseDown(str(error)) from error

    async def _transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._turns, self._engine.begin() as connection:
            return await work(connection)
